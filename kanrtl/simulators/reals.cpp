// One sample in real numbers, as Python exchanges it with what is compiled: how they become codes and back.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

// How real numbers become codes and codes become real numbers: as kanrtl.numeric.fixed.Format does it, to the bit.
struct Scale {
    double codes_per_unit, unit_per_code, minimum, maximum;
    double period; // in codes: what is outside comes back by whole periods; 0 for none

    // Writes the codes nearest to real numbers, ties to the even one; returns how many were outside.
    size_t quantise(const double *reals, int64_t *codes, size_t count) const {
        size_t outside = 0;
        for (size_t place = 0; place < count; place++) {
            double nearest = std::nearbyint(reals[place] * codes_per_unit);
            if (period > 0 && std::isfinite(nearest)) {
                double below = minimum - nearest, above = nearest - maximum;
                if (below > 0) nearest = std::nearbyint(nearest + period * std::ceil(below / period));
                if (above > 0) nearest = std::nearbyint(nearest - period * std::ceil(above / period));
            }
            // Of wide formats the highest code is no double, but the number after it is.
            double end = maximum + 1;
            if (nearest < minimum) nearest = minimum, outside++;
            if (nearest >= end) outside++;
            codes[place] = nearest >= end ? int64_t(end) - 1 : int64_t(nearest);
        }
        return outside;
    }
};

inline bool any_nan(const double *reals, size_t count) {
    for (size_t place = 0; place < count; place++)
        if (std::isnan(reals[place])) return true;
    return false;
}

// Whether all are finite, and not beyond bounds.
inline bool all_within(const double *reals, size_t count, double lowest, double highest) {
    for (size_t place = 0; place < count; place++)
        if (!std::isfinite(reals[place]) || reals[place] < lowest || reals[place] > highest) return false;
    return true;
}

// Where one sample is exchanged in real numbers, and how these become codes; see Simulation::step.
struct RealPlaces {
    Scale input, output, target;
    double lowest, highest; // of targets or gradients, before they become codes
    const double *x, *teaching;
    double *predictions;
    int64_t *codes; // of x
};

// Where one sample of a network is exchanged: real inputs, each with a scale and an offset of its own, and codes.
struct SamplePlaces {
    const double *scale, *offset, *x;
    double minimum, maximum; // of a code
    int64_t *codes, *predictions;

    // Makes codes as kanrtl.lookup.quantiser.Quantiser does, to the bit; returns whether all are numbers.
    bool quantise(size_t n_in) const {
        for (size_t place = 0; place < n_in; place++) {
            double nearest = std::nearbyint(x[place] * scale[place] + offset[place]);
            if (std::isnan(nearest)) return false;
            codes[place] = int64_t(nearest < minimum ? minimum : nearest > maximum ? maximum : nearest);
        }
        return true;
    }
};

class Reals : RealPlaces {
    std::vector<int64_t> buffer_;

  public:
    Reals() : RealPlaces{} {}
    explicit Reals(const RealPlaces &places) : RealPlaces(places) {}

    // Has `run(codes, teaching, learn, predictions)` take one sample. `kind` is 0 for a prediction, 1 for a prediction
    // and a learning step, 2 for a learning step with the inputs' codes as they lie there. Returns how many inputs were
    // outside their format, plus 2^32 for every target or gradient that was; or -1, with nothing done, where an input is
    // not a number, or a target not finite or not within its bounds.
    template <typename Run> int64_t exchange(int kind, size_t n_in, size_t n_out, Run run) {
        bool sampled = kind != 2, taught = kind != 0;
        if (sampled && any_nan(x, n_in)) return -1;
        if (taught && !all_within(teaching, n_out, lowest, highest)) return -1;
        int64_t outside = 0;
        buffer_.assign(2 * n_out, 0);
        int64_t *targets = buffer_.data(), *found = targets + n_out;
        if (sampled) outside = int64_t(input.quantise(x, codes, n_in));
        if (taught) outside += int64_t(target.quantise(teaching, targets, n_out)) << 32;
        run(codes, targets, taught, found);
        for (size_t place = 0; place < n_out; place++)
            predictions[place] = double(found[place]) * output.unit_per_code;
        return outside;
    }
};

} // namespace
