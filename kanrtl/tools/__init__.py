"""The open FPGA tools, and what is given to them."""
