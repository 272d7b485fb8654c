// Drives a component that takes samples and gives predictions. Before this file stand its netlist, its clock and
// reals.cpp. So do these macros:
//
//   N_IN, N_OUT             numbers in a sample and in a prediction
//   X_WIDTH, Y_WIDTH        bits of one of them
//   Y_SIGNED                whether the latter has a sign
//   STALLING                samples have a ready
//   REFUSABLE               predictions have a ready
//   LEARNS                  it is a learner; then also
//     TARGET_WIDTH          bits of a target or gradient
//     WITH_SAMPLE           targets travel with their samples
//     SETTLING              cycles from the last sample to its update, where the next may come before
//     ADDRESS_WIDTH, DATA_WIDTH
//
// and, where it is traced, TRACED(EACH): EACH(port) for every port that is. What happens at which clock edge
// is the same as in the backend "pysim", so that both give the same trace.

#include <set>
#include <vector>

#if !LEARNS
#define TARGET_WIDTH 1
#define WITH_SAMPLE 1
#define SETTLING 0
#endif

namespace {

#if LEARNS
using Places = RealPlaces;
#else
using Places = SamplePlaces;
#endif

// Puts `width` bits, 64 at most, at the place `first` of a port.
inline void put(uint32_t *port, size_t first, size_t width, uint64_t bits) {
    while (width) {
        size_t at = first % 32, count = width < 32 - at ? width : 32 - at;
        uint32_t mask = (~uint32_t(0) >> (32 - count)) << at;
        port[first / 32] = (port[first / 32] & ~mask) | (uint32_t(bits << at) & mask);
        bits >>= count;
        first += count;
        width -= count;
    }
}

// The number in `width` bits at the place `first` of a port.
template <bool SIGNED> int64_t get(const uint32_t *port, size_t first, size_t width) {
    uint64_t bits = 0;
    for (size_t done = 0; done < width;) {
        size_t at = (first + done) % 32, count = width - done < 32 - at ? width - done : 32 - at;
        bits |= uint64_t((port[(first + done) / 32] >> at) & (~uint32_t(0) >> (32 - count))) << done;
        done += count;
    }
    return SIGNED ? int64_t(bits << (64 - width)) >> (64 - width) : int64_t(bits);
}

// Every value that was seen of something that hardly changes.
class Seen {
    std::set<uint64_t> values_;
    uint64_t last_ = ~uint64_t(0);

  public:
    void add(uint64_t value) {
        if (value != last_) values_.insert(last_ = value);
    }
    const std::set<uint64_t> &values() const { return values_; }
};

class Simulation : public Clocked {
    static constexpr size_t LEARN = N_IN * X_WIDTH + (WITH_SAMPLE ? N_OUT * TARGET_WIDTH : 0);

    bool idle_ = false; // Something was done before: a cycle passes between two things.
    std::vector<uint32_t> trace_;

    // What is being sent, by whom it was called; see send.
    size_t count_ = 0, words_ = 0;
    const int64_t *x_ = nullptr, *teaching_ = nullptr;
    const uint8_t *learn_ = nullptr;
    int64_t *predictions_ = nullptr;
    size_t sent_ = 0, predicted_ = 0, taught_ = 0, updated_ = 0;
    size_t word_ = 0;                   // The sample that is taught next.
    std::vector<uint64_t> took_;        // When each sample was taken,
    std::vector<uint64_t> took_taught_; // and each that is learned from.
    bool done_ = true;
#if LEARNS
    Reals reals_;
#else
    Places places_{};
#endif

    void settle() {
        Clocked::settle();
#ifdef TRACED
#define EACH(port) keep(dut_.port);
        TRACED(EACH)
#undef EACH
#endif
    }

    template <size_t BITS> void keep(const cxxrtl::value<BITS> &port) {
        trace_.insert(trace_.end(), port.data, port.data + port.chunks);
    }
    template <size_t BITS> void keep(const cxxrtl::wire<BITS> &port) { keep(port.curr); }

    void tick() {
        settle();
        edge();
    }

    void pause() {
        if (idle_) tick();
        idle_ = true;
    }

    void offer_sample() {
        uint32_t *payload = chunks(dut_.p_samples____payload);
        for (size_t place = 0; place < N_IN; place++)
            put(payload, place * X_WIDTH, X_WIDTH, x_[sent_ * N_IN + place]);
        if (LEARNS && WITH_SAMPLE)
            for (size_t place = 0; place < N_OUT; place++)
                put(payload, N_IN * X_WIDTH + place * TARGET_WIDTH, TARGET_WIDTH, teaching_[sent_ * N_OUT + place]);
        if (LEARNS) put(payload, LEARN, 1, learn_[sent_]);
    }

#if !WITH_SAMPLE
    void offer_word() {
        while (!learn_[word_]) word_++;
        for (size_t place = 0; place < N_OUT; place++)
            put(chunks(dut_.p_teaching____payload), place * TARGET_WIDTH, TARGET_WIDTH,
                teaching_[word_ * N_OUT + place]);
    }
#endif

  public:
    Seen latency, prediction_latency, interval;

    Simulation() { begin(); }

    std::vector<uint32_t> &trace() { return trace_; }

    // Begins to send `count` samples; what the pointers point to must stay until all is done. Predictions are written
    // as they come.
    void send(size_t count, const int64_t *x, const int64_t *teaching, const uint8_t *learn, int64_t *predictions) {
        count_ = count;
        x_ = x;
        teaching_ = teaching;
        learn_ = learn;
        predictions_ = predictions;
        sent_ = predicted_ = taught_ = updated_ = word_ = words_ = 0;
        took_.clear();
        took_taught_.clear();
        if (!WITH_SAMPLE)
            for (size_t index = 0; index < count; index++) words_ += learn[index];
        pause();
        done_ = count == 0;
        if (done_) return;
        offer_sample();
#if REFUSABLE
        dut_.p_predictions____ready.data[0] = 1;
#endif
#if !WITH_SAMPLE
        if (words_) offer_word();
#endif
    }

    // Offers no more samples than were taken.
    void cut() {
        count_ = sent_;
        done_ = done_ || !count_;
        words_ = 0;
        if (!WITH_SAMPLE)
            for (size_t index = 0; index < count_; index++) words_ += learn_[index];
    }

    // Goes on for some cycles, everything offered as early as it can be taken; returns whether all is done: the last
    // prediction made, and the last update written.
    bool proceed(uint64_t cycles) {
        for (; !done_ && cycles; cycles--) {
            bool offered = sent_ < count_, teaching = taught_ < words_;
            dut_.p_samples____valid.data[0] = offered;
#if !WITH_SAMPLE
            if (words_) dut_.p_teaching____valid.data[0] = teaching;
#endif
            settle();
#if STALLING
            bool ready = *chunks(dut_.p_samples____ready);
#else
            bool ready = true;
#endif
            bool valid = *chunks(dut_.p_predictions____valid);
            uint64_t now = cycle() + 1;
#if LEARNS
            if (*chunks(dut_.p_updated) && updated_ < took_taught_.size())
                latency.add(now - took_taught_[updated_++]);
#endif
            if (valid) {
                for (size_t place = 0; place < N_OUT; place++)
                    predictions_[predicted_ * N_OUT + place] =
                        get<Y_SIGNED>(chunks(dut_.p_predictions____payload), place * Y_WIDTH, Y_WIDTH);
                // It was loaded at the edge before the one that takes it.
                prediction_latency.add(now - 1 - took_[predicted_++]);
            }
#if !WITH_SAMPLE
            bool understood = teaching && *chunks(dut_.p_teaching____ready);
#endif
            edge();
            if (offered && ready) {
                if (sent_ && (!LEARNS || learn_[sent_ - 1])) interval.add(now - took_.back());
                took_.push_back(now);
                if (LEARNS && learn_[sent_]) took_taught_.push_back(now);
                if (++sent_ < count_) offer_sample();
            }
#if !WITH_SAMPLE
            if (understood) {
                word_++;
                if (++taught_ < words_) offer_word();
            }
#endif
            done_ = !offered && !teaching && predicted_ == count_;
            // A learner that is ready for another sample has done all that the last one asked for.
            done_ = done_ && (!LEARNS || (ready && now >= took_.back() + SETTLING));
        }
        if (done_) {
            dut_.p_samples____valid.data[0] = 0;
#if REFUSABLE
            dut_.p_predictions____ready.data[0] = 0;
#endif
#if !WITH_SAMPLE
            dut_.p_teaching____valid.data[0] = 0;
#endif
        }
        return done_;
    }

#if LEARNS
    // One sample in real numbers, which lie where bind was told; see Reals::exchange.
    int64_t step(int kind) {
        return reals_.exchange(kind, N_IN, N_OUT, [this](const int64_t *codes, const int64_t *teaching, uint8_t learn,
                                                         int64_t *predictions) {
            send(1, codes, teaching, &learn, predictions);
            while (!proceed(~uint64_t(0))) {
            }
        });
    }

    void bind(const Places &places) { reals_ = Reals(places); }

    // Reads and writes in order. `data` is what is written, and then what each was answered.
    void access(size_t count, const uint64_t *addresses, const uint8_t *writes, int64_t *data) {
        pause();
        dut_.p_access____response____ready.data[0] = 1;
        uint32_t *request = chunks(dut_.p_access____request____payload);
        for (size_t index = 0; index < count; index++) {
            put(request, 0, ADDRESS_WIDTH, addresses[index]);
            put(request, ADDRESS_WIDTH, 1, writes[index]);
            put(request, ADDRESS_WIDTH + 1, DATA_WIDTH, writes[index] ? data[index] : 0);
            dut_.p_access____request____valid.data[0] = 1;
            for (bool met = false; !met; edge()) {
                settle();
                met = *chunks(dut_.p_access____request____ready);
            }
            dut_.p_access____request____valid.data[0] = 0;
            for (bool met = false; !met; edge()) {
                settle();
                met = *chunks(dut_.p_access____response____valid);
                data[index] = get<true>(chunks(dut_.p_access____response____payload), 0, DATA_WIDTH);
            }
        }
        dut_.p_access____response____ready.data[0] = 0;
    }
#else
    // One sample, which lies where bind was told; returns -1, with nothing done, where an input becomes no number.
    int64_t step(int) {
        if (!places_.quantise(N_IN)) return -1;
        send(1, places_.codes, nullptr, nullptr, places_.predictions);
        while (!proceed(~uint64_t(0))) {
        }
        return 0;
    }

    void bind(const Places &places) { places_ = places; }
#endif
};

} // namespace

EXPORT Simulation *kanrtl_begin() { return new Simulation; }
EXPORT void kanrtl_end(Simulation *simulation) { delete simulation; }

EXPORT void kanrtl_send(Simulation *simulation, size_t count, const int64_t *x, const int64_t *teaching,
                        const uint8_t *learn, int64_t *predictions) {
    simulation->send(count, x, teaching, learn, predictions);
}
EXPORT int kanrtl_proceed(Simulation *simulation, uint64_t cycles) { return simulation->proceed(cycles); }
EXPORT void kanrtl_cut(Simulation *simulation) { simulation->cut(); }

EXPORT void kanrtl_bind(Simulation *simulation, const void *places) {
    simulation->bind(*static_cast<const Places *>(places));
}
EXPORT int64_t kanrtl_step(Simulation *simulation, int kind) { return simulation->step(kind); }

#if LEARNS
EXPORT void kanrtl_access(Simulation *simulation, size_t count, const uint64_t *addresses, const uint8_t *writes,
                          int64_t *data) {
    simulation->access(count, addresses, writes, data);
}
#endif

EXPORT uint64_t kanrtl_cycles(Simulation *simulation) { return simulation->cycle(); }
EXPORT int kanrtl_restless(Simulation *simulation) { return simulation->restless(); }

// What was seen of `which`; at most `most` values are written, and the number of all returned.
EXPORT size_t kanrtl_observed(Simulation *simulation, int which, uint64_t *values, size_t most) {
    const Seen *kinds[] = {&simulation->latency, &simulation->prediction_latency, &simulation->interval};
    size_t count = 0;
    for (uint64_t value : kinds[which]->values())
        if (count++ < most) values[count - 1] = value;
    return count;
}

// The traced ports' words at every clock edge since the last call; they stay until the next.
EXPORT size_t kanrtl_traced(Simulation *simulation, const uint32_t **words) {
    static thread_local std::vector<uint32_t> taken;
    taken.clear();
    taken.swap(simulation->trace());
    *words = taken.data();
    return taken.size();
}
