// The clock of a netlist that CXXRTL has turned into C++, which stands before this file; what drives its other ports
// stands behind.

#include <cstddef>
#include <cstdint>

#ifdef _WIN32
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

using Top = cxxrtl_design::p_dut;

template <size_t BITS> uint32_t *chunks(cxxrtl::value<BITS> &port) { return port.data; }
template <size_t BITS> uint32_t *chunks(cxxrtl::wire<BITS> &port) { return port.curr.data; }

constexpr unsigned MOST_TURNS = 1000; // Evaluations until outputs settle; loops through logic take some.

class Clocked {
    bool at_once_ = false;  // Outputs settle in one evaluation, as CXXRTL tells.
    bool restless_ = false; // There was a cycle in which they did not settle.
    uint64_t cycle_ = 0;

  protected:
    Top dut_;

    // Inputs have the values that they begin with.
    void begin() {
        dut_.p_clk.data[0] = 0;
        at_once_ = dut_.eval();
        dut_.commit();
    }

    // The part of a cycle before its clock edge: outputs become what they are at the edge.
    void settle() {
        if (!at_once_) {
            dut_.prev_p_clk.data[0] = dut_.p_clk.data[0] = 0;
            bool settled = restless_;
            for (unsigned turn = 0; !settled && turn < MOST_TURNS; turn++) {
                settled = dut_.eval();
                settled |= !dut_.commit();
            }
            restless_ = restless_ || !settled;
        }
        // Registers take their values only in the commit: one evaluation serves both.
        dut_.prev_p_clk.data[0] = 0;
        dut_.p_clk.data[0] = 1;
        dut_.eval();
    }

    void edge() {
        dut_.commit();
        cycle_++;
    }

  public:
    uint64_t cycle() const { return cycle_; }
    bool restless() const { return restless_; }
};

} // namespace
