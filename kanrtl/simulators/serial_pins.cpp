// Drives a component, whose netlist and clock stand before this file, by the two pins of its serial port: what is fed goes onto rx bit by bit, and what is seen on tx is taken off it.
//
// With VARIANTS the component has the input `variant`, which chooses between so many, and the output `touched`, a bit
// for each.

#include <cmath>
#include <deque>

namespace {

constexpr double BITS = 10; // of a byte on the line: start bit, data, stop bit

class Simulation : public Clocked {
    const double period_; // Cycles of a bit.

    std::deque<uint8_t> fed_;
    double sent_ = BITS; // How many bits of the byte `sending_` are over.
    unsigned sending_ = 0;

    double next_ = -1; // The cycle at which the line is looked at next; negative where no byte has begun.
    unsigned seen_ = 0, seen_bits_ = 0;

    void drive() {
        if (sent_ >= BITS && !fed_.empty()) {
            sent_ -= sent_ < BITS + 1 / period_ ? BITS : sent_; // Without a pause where there was none.
            sending_ = unsigned(fed_.front()) << 1 | 1u << 9;
            fed_.pop_front();
        }
        dut_.p_rx.data[0] = sent_ < BITS ? sending_ >> unsigned(sent_) & 1 : 1;
        if (sent_ < 2 * BITS) sent_ += 1 / period_;
    }

    // Whether a byte has come; it is then `seen_`.
    bool look() {
        const bool line = chunks(dut_.p_tx)[0] & 1;
        if (next_ < 0) {
            if (!line) {
                next_ = double(cycle()) + period_ / 2;
                seen_ = seen_bits_ = 0;
            }
            return false;
        }
        if (double(cycle()) < std::floor(next_)) return false;
        next_ += period_;
        if (seen_bits_ == 9) {
            next_ = -1;
            seen_ = seen_ >> 1 & 0xFF;
            return line;
        }
        seen_ |= unsigned(line) << seen_bits_++;
        return false;
    }

  public:
    Simulation(double period, [[maybe_unused]] uint32_t variant) : period_(period) {
        dut_.p_rx.data[0] = 1;
#ifdef VARIANTS
        dut_.p_variant.data[0] = variant;
#endif
        begin();
    }

    size_t waiting() const { return fed_.size(); }
#ifdef VARIANTS
    bool touched(size_t variant) { return chunks(dut_.p_touched)[variant / 32] >> variant % 32 & 1; }
#endif

    void feed(size_t count, const char *bytes) { fed_.insert(fed_.end(), bytes, bytes + count); }

    // Goes on for some cycles, until `most` bytes have come; returns how many have, and puts them into `bytes`.
    size_t run(uint64_t cycles, size_t most, uint8_t *bytes) {
        size_t count = 0;
        for (; cycles && count < most; cycles--) {
            drive();
            settle();
            if (look()) bytes[count++] = uint8_t(seen_);
            edge();
        }
        return count;
    }
};

} // namespace

EXPORT Simulation *kanrtl_begin(double period, uint32_t variant) { return new Simulation(period, variant); }
EXPORT void kanrtl_end(Simulation *simulation) { delete simulation; }
EXPORT void kanrtl_feed(Simulation *simulation, size_t count, const char *bytes) { simulation->feed(count, bytes); }
EXPORT size_t kanrtl_run(Simulation *simulation, uint64_t cycles, size_t most, uint8_t *bytes) {
    return simulation->run(cycles, most, bytes);
}
EXPORT size_t kanrtl_waiting(Simulation *simulation) { return simulation->waiting(); }
EXPORT uint64_t kanrtl_cycles(Simulation *simulation) { return simulation->cycle(); }
EXPORT int kanrtl_restless(Simulation *simulation) { return simulation->restless(); }
#ifdef VARIANTS
EXPORT int kanrtl_touched(Simulation *simulation, size_t variant) { return simulation->touched(variant); }
#endif
