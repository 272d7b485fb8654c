"""Other people's tools at Verilog that kanrtl has written: simulators that are told what to send, and synthesis."""
