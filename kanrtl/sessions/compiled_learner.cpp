// The numeric contract of one learner, as kanrtl.learner.model_batch and model_layers have it in numpy, to the bit. All
// that follows from a spec comes from Python, in the structures below; reals.cpp stands before this file.

#include <deque>

#ifdef _WIN32
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

// kanrtl.numeric.fixed.CodeNarrowing.
struct Narrowing {
    int64_t left, right, term, even, minimum, maximum;

    int64_t narrow(int64_t code, bool &outside, int64_t noise = 0) const {
        code = int64_t(uint64_t(code) << left);
        int64_t rounded = (code + ((code >> right) & even) + term + noise) >> right;
        if (rounded < minimum) return outside = true, minimum;
        if (rounded > maximum) return outside = true, maximum;
        return rounded;
    }
};

inline int64_t up(int64_t code, int64_t bits) { return int64_t(uint64_t(code) << bits); }

// The linear path beside every spline of a layer.
struct Linear {
    int64_t present, first_lane;
    int64_t spline_up, product_up, slope_up; // what is added is aligned by: splines, w x, and w to a slope
    int64_t weight_up, change_up, leak, noise_bits, noise_up;
    Narrowing step, weight;
    int64_t *rate;
};

// One layer: arrays are (n_out, n_in, coefficients) for coefficients, with w behind those of the bases, and (rows,
// window) for tables.
struct Layer {
    int64_t n_in, n_out, window, bases, banks, first_lane, modulation;
    int64_t scale, offset, shift, end, row_bits, periodic;
    int64_t coefficient_up, product_up, leak, guard_bits, noise_bits, noise_up, delay, holds;
    Narrowing activation, slope, gradient, step, coefficient, curve, turned;
    int64_t *coefficients, *rate;
    const int64_t *basis, *derivative;
    Linear linear;

    // Numbers that the layer takes.
    int64_t inputs() const { return n_in * (1 + modulation); }

    // The product of a node's value and what an input multiplies it by, `factors`; of complex edges with the value of
    // the other node of its pair, and with a negative `sign` the conjugate of the factors.
    int64_t modulate(int64_t own, int64_t other, const int64_t *factors, int64_t node, int64_t sign) const {
        int64_t product = own * factors[0];
        if (modulation == 2) product += (node % 2 ? sign : -sign) * other * factors[1];
        return product;
    }

    // The coefficient that a window has at an index, from its cell; on a periodic grid it goes on at the first.
    int64_t coefficient_at(int64_t cell, int64_t w) const {
        return cell + w < bases ? cell + w : cell + w - bases;
    }

    int64_t *edge(int64_t node, int64_t source) const {
        return coefficients + (node * n_in + source) * (bases + linear.present);
    }

    int64_t *weight(int64_t node, int64_t source) const { return edge(node, source) + bases; }
};

// The gradient of the loss: the value, or the table's at it, less the target.
struct Loss {
    int64_t reads_outputs, uses_value, row_bits, row_shift, value_up, target_up;
    const int64_t *table; // none: the value itself
};

struct State {
    int64_t layers, stochastic, counter_limit, counts_outside, counts_lost;
    const Layer *layer;
    Loss loss;
    int64_t *noise;       // the register, of 32 bits
    int64_t *frozen;
    int64_t *saturations; // activation, gradient, slope, step, coefficient, outside, lost
    int64_t *errors;      // the sum of the outputs' |dL/dy|
};

enum { ACTIVATION, GRADIENT, SLOPE, STEP, COEFFICIENT, OUTSIDE, LOST };

// What one sample changes in one layer, before it has landed.
struct Update {
    int64_t edge, sample;
    std::vector<int64_t> cells, products, noise;    // (n_in,), and (n_out, n_in, window) twice
    std::vector<int64_t> weight_products, weight_noise; // (n_out, n_in), of linear paths
    std::vector<uint8_t> taught;                        // (n_out, n_in): which edges should move
    std::vector<uint8_t> learns;                        // (n_in,): whose coefficients are changed
};

// Where a sample is in a layer.
struct Pass {
    std::vector<int64_t> cells, rows, inside;
    std::vector<int64_t> coefficients; // (n_out, n_in, window), without guard bits, as they were in the forward pass
    std::vector<int64_t> factors;      // (n_in, modulation)
    std::vector<int64_t> curves;       // (n_out, n_in) of modulated edges
    std::vector<int64_t> x, weights;   // of linear paths: (n_in,) as it came in, and (n_out, n_in)
};

uint32_t leap(uint32_t state) {
    for (int bit = 0; bit < 16; bit++)
        state = state << 1 | ((state >> 22 ^ state >> 28 ^ state >> 29 ^ state >> 31) & 1);
    return state;
}

class Learner {
    State state_;
    Reals reals_;
    std::vector<Pass> passes_;
    std::vector<std::deque<Update>> waiting_;
    std::vector<std::vector<int64_t>> values_, gradients_;
    std::vector<int64_t> totals_, landed_;
    std::vector<int64_t> turned_, totals_of_layer_; // of one layer at a time, by node
    bool gradient_outside_ = false;                 // in the backward pass of this sample
    int64_t edge_ = -1, taught_ = 0, counted_ = 0;
    enum { CLIPPED = 1, STILL = 2 };
    std::deque<uint8_t> landings_; // of the samples from counted_ on: whether a coefficient saturated, or an edge is still

    const Layer &layer(size_t index) const { return state_.layer[index]; }
    size_t layers() const { return size_t(state_.layers); }

    void count(int kind) {
        if (state_.saturations[kind] < state_.counter_limit) state_.saturations[kind]++;
    }

    void locate(size_t index, const int64_t *x) {
        const Layer &at = layer(index);
        Pass &pass = passes_[index];
        for (int64_t i = 0; i < at.n_in; i++) {
            for (int64_t m = 0; m < at.modulation; m++) pass.factors[i * at.modulation + m] = *x++;
            int64_t input = *x++;
            if (at.linear.present) pass.x[i] = input;
            int64_t position = (input * at.scale + at.offset) >> at.shift;
            if (at.periodic) position = (position % at.end + at.end) % at.end;
            int64_t clamped = position < 0 ? 0 : position >= at.end ? at.end - 1 : position;
            pass.cells[i] = clamped >> at.row_bits;
            pass.rows[i] = clamped & ((int64_t(1) << at.row_bits) - 1);
            pass.inside[i] = position == clamped;
        }
    }

    // Changes a layer's coefficients by all updates of samples up to an edge.
    void land(size_t index, int64_t edge) {
        const Layer &at = layer(index);
        std::deque<Update> &waiting = waiting_[index];
        while (!waiting.empty() && waiting.front().edge <= edge) {
            Update &update = waiting.front();
            bool outside = false, still = false;
            size_t place = 0;
            for (int64_t o = 0; o < at.n_out; o++)
                for (int64_t i = 0; i < at.n_in; i++) {
                    int64_t *edge = at.edge(o, i);
                    bool moved = false;
                    int64_t leak = update.learns[size_t(i)] ? at.leak : 0;
                    for (int64_t w = 0; w < at.window; w++, place++) {
                        int64_t &coefficient = edge[at.coefficient_at(update.cells[i], w)], before = coefficient;
                        int64_t exact = up(coefficient, at.coefficient_up) - up(update.products[place], at.product_up);
                        exact -= coefficient * leak;
                        bool beyond = false;
                        coefficient =
                            at.coefficient.narrow(exact, beyond, update.noise.empty() ? 0 : update.noise[place]);
                        outside |= beyond;
                        moved |= beyond || coefficient != before;
                    }
                    still |= update.taught[size_t(o * at.n_in + i)] && !moved;
                }
            if (at.linear.present) land_weights(at, update, outside);
            landings_[size_t(update.sample - counted_)] |= (outside ? CLIPPED : 0) | (still ? STILL : 0);
            landed_[index]++;
            spare_.push_back(std::move(update));
            waiting.pop_front();
        }
    }

    void land_weights(const Layer &at, const Update &update, bool &outside) {
        const Linear &linear = at.linear;
        for (int64_t o = 0, place = 0; o < at.n_out; o++)
            for (int64_t i = 0; i < at.n_in; i++, place++) {
                int64_t *weight = at.weight(o, i);
                int64_t exact = up(*weight, linear.weight_up) - up(update.weight_products[size_t(place)], linear.change_up);
                exact -= *weight * linear.leak;
                *weight =
                    linear.weight.narrow(exact, outside, state_.stochastic ? update.weight_noise[size_t(place)] : 0);
            }
    }

    std::vector<Update> spare_;

    // Counts the coefficients that saturated, and the edges that did not move, where an update has landed in all layers.
    void count_landed() {
        int64_t least = landed_[0];
        for (int64_t landed : landed_) least = landed < least ? landed : least;
        for (; counted_ < least; counted_++) {
            if (landings_.front() & CLIPPED) count(COEFFICIENT);
            if (landings_.front() & STILL && state_.counts_lost) count(LOST);
            landings_.pop_front();
        }
    }

    void forward(int64_t edge, const int64_t *x, int64_t *predictions) {
        bool outside = false;
        for (size_t index = 0; index < layers(); index++) {
            const Layer &at = layer(index);
            Pass &pass = passes_[index];
            locate(index, index ? values_[index - 1].data() : x);
            land(index, edge - at.delay);
            size_t place = 0;
            for (int64_t o = 0; o < at.n_out; o++) {
                int64_t total = 0;
                for (int64_t i = 0; i < at.n_in; i++) {
                    int64_t curve = 0;
                    const int64_t *edge = at.edge(o, i);
                    const int64_t *basis = at.basis + pass.rows[i] * at.window;
                    for (int64_t w = 0; w < at.window; w++, place++)
                        curve += (pass.coefficients[place] =
                                      edge[at.coefficient_at(pass.cells[i], w)] >> at.guard_bits) * basis[w];
                    if (at.modulation)
                        pass.curves[o * at.n_in + i] = at.curve.narrow(curve, outside);
                    else
                        total += curve;
                }
                totals_of_layer_[o] = total;
            }
            for (int64_t o = 0; o < at.n_out; o++) {
                int64_t total = totals_of_layer_[o];
                for (int64_t i = 0; i < at.n_in && at.modulation; i++)
                    total += at.modulate(pass.curves[o * at.n_in + i], pass.curves[pair(at, o) * at.n_in + i],
                                         &pass.factors[i * at.modulation], o, 1);
                if (at.linear.present) {
                    int64_t products = 0;
                    for (int64_t i = 0; i < at.n_in; i++)
                        products += (pass.weights[size_t(o * at.n_in + i)] = *at.weight(o, i) >> at.guard_bits) * pass.x[i];
                    total = up(total, at.linear.spline_up) + up(products, at.linear.product_up);
                }
                values_[index][o] = at.activation.narrow(total, outside);
                if (index + 1 == layers()) totals_[o] = total, predictions[o] = values_[index][o];
            }
        }
        if (outside) count(ACTIVATION);
    }

    // The other node of a complex node's pair.
    static int64_t pair(const Layer &at, int64_t o) { return at.modulation == 2 ? o ^ 1 : o; }

    int64_t error(size_t node, int64_t target) const {
        const Loss &loss = state_.loss;
        int64_t value = loss.reads_outputs ? values_.back()[node] : totals_[node];
        if (loss.table) {
            int64_t half = int64_t(1) << (loss.row_bits - 1), row = value >> loss.row_shift;
            value = loss.table[(row < -half ? -half : row > half - 1 ? half - 1 : row) + half];
        }
        return loss.uses_value ? up(value, loss.value_up) - up(target, loss.target_up) : target;
    }

    void backward(const int64_t *targets) {
        const Layer &last = layer(layers() - 1);
        bool gradient = false, slope = false;
        for (int64_t o = 0; o < last.n_out; o++) {
            int64_t own = gradients_.back()[o] = last.gradient.narrow(error(size_t(o), targets[o]), gradient);
            *state_.errors += own < 0 ? -own : own;
        }
        for (size_t index = layers() - 1; index > 0; index--) {
            const Layer &at = layer(index);
            const Pass &pass = passes_[index];
            for (int64_t i = 0; i < at.n_in; i++) {
                const int64_t *derivative = at.derivative + pass.rows[i] * at.window;
                int64_t total = 0;
                for (int64_t o = 0; o < at.n_out; o++) {
                    const int64_t *coefficients = &pass.coefficients[size_t((o * at.n_in + i) * at.window)];
                    int64_t sum = 0;
                    for (int64_t w = 0; w < at.window; w++) sum += coefficients[w] * derivative[w] * pass.inside[i];
                    if (at.linear.present) sum += up(pass.weights[size_t(o * at.n_in + i)], at.linear.slope_up);
                    total += gradients_[index][o] * at.slope.narrow(sum, slope);
                }
                gradients_[index - 1][i] = layer(index - 1).gradient.narrow(total, gradient);
            }
        }
        if (gradient) count(GRADIENT);
        gradient_outside_ = gradient;
        if (slope) count(SLOPE);
    }

    void update(int64_t edge) {
        bool outside = false, turns_outside = false, off_grid = false;
        uint64_t word = uint64_t(*state_.noise) << 32 | uint64_t(*state_.noise);
        for (size_t index = 0; index < layers(); index++) {
            const Layer &at = layer(index);
            const Pass &pass = passes_[index];
            Update update;
            if (!spare_.empty()) update = std::move(spare_.back()), spare_.pop_back();
            update.edge = edge;
            update.sample = taught_;
            update.cells = pass.cells;
            size_t size = size_t(at.n_out * at.n_in * at.window);
            update.products.resize(size);
            update.noise.resize(state_.stochastic ? size : 0);
            update.taught.resize(size_t(at.n_out * at.n_in));
            update.learns.resize(size_t(at.n_in));
            for (int64_t i = 0; i < at.n_in; i++) {
                bool learns = pass.inside[i] || !at.holds;
                off_grid |= !pass.inside[i];
                update.learns[size_t(i)] = learns;
                const int64_t *basis = at.basis + pass.rows[i] * at.window;
                for (int64_t o = 0; o < at.n_out; o++) {
                    const std::vector<int64_t> &gradients = gradients_[index];
                    turned_[o] = gradients[o];
                    if (at.modulation)
                        turned_[o] = at.turned.narrow(at.modulate(gradients[o], gradients[pair(at, o)],
                                                                  &pass.factors[i * at.modulation], o, -1),
                                                      turns_outside);
                }
                for (int64_t o = 0; o < at.n_out; o++)
                    update.taught[size_t(o * at.n_in + i)] = learns && turned_[o] && *at.rate;
                for (int64_t w = 0; w < at.window; w++) {
                    int64_t step = at.step.narrow(*at.rate * basis[w], outside);
                    for (int64_t o = 0; o < at.n_out; o++) {
                        size_t place = size_t((o * at.n_in + i) * at.window + w);
                        update.products[place] = learns ? turned_[o] * step : 0;
                        if (!state_.stochastic) continue;
                        int64_t lane = at.first_lane + (o * at.n_in + i) * at.banks + (pass.cells[i] + w) % at.banks;
                        uint64_t drawn = word >> (32 - lane * 7 % 32) & ((uint64_t(1) << at.noise_bits) - 1);
                        update.noise[place] = int64_t(drawn << at.noise_up);
                    }
                }
            }
            if (at.linear.present) change_weights(index, update, word, outside);
            waiting_[index].push_back(std::move(update));
        }
        if (outside) count(STEP);
        if (off_grid && state_.counts_outside) count(OUTSIDE);
        if (turns_outside && !gradient_outside_) count(GRADIENT);
        if (state_.stochastic) *state_.noise = leap(uint32_t(*state_.noise));
        landings_.push_back(0);
        taught_++;
    }

    // What the update does to the linear paths of a layer.
    void change_weights(size_t index, Update &update, uint64_t word, bool &outside) {
        const Layer &at = layer(index);
        const Linear &linear = at.linear;
        size_t size = size_t(at.n_out * at.n_in);
        update.weight_products.resize(size);
        update.weight_noise.resize(state_.stochastic ? size : 0);
        for (int64_t i = 0; i < at.n_in; i++) {
            int64_t step = linear.step.narrow(*linear.rate * passes_[index].x[size_t(i)], outside);
            for (int64_t o = 0; o < at.n_out; o++) {
                int64_t place = o * at.n_in + i;
                update.weight_products[size_t(place)] = gradients_[index][size_t(o)] * step;
                if (!state_.stochastic) continue;
                int64_t lane = linear.first_lane + place;
                uint64_t drawn = word >> (32 - lane * 7 % 32) & ((uint64_t(1) << linear.noise_bits) - 1);
                update.weight_noise[size_t(place)] = int64_t(drawn << linear.noise_up);
            }
        }
    }

    // The rate registers: those of all layers, then those of linear paths.
    template <typename Do> bool each_rate(const int64_t *rates, Do what) {
        bool all = true;
        for (size_t index = 0; index < layers(); index++) all &= what(*layer(index).rate, *rates++);
        for (size_t index = 0; index < layers(); index++)
            if (layer(index).linear.present) all &= what(*layer(index).linear.rate, *rates++);
        return all;
    }

    void change_rates(const int64_t *rates) {
        if (each_rate(rates, [](int64_t &held, int64_t rate) { return held == rate; })) return;
        settle();
        each_rate(rates, [](int64_t &held, int64_t rate) { return held = rate, true; });
    }

  public:
    explicit Learner(const State &state) : state_(state) {
        for (size_t index = 0; index < layers(); index++) {
            const Layer &at = layer(index);
            std::vector<int64_t> inputs(at.n_in), outputs(at.n_out);
            passes_.push_back({inputs, inputs, inputs, std::vector<int64_t>(at.n_out * at.n_in * at.window),
                               std::vector<int64_t>(at.n_in * at.modulation), std::vector<int64_t>(at.n_out * at.n_in),
                               inputs, std::vector<int64_t>(at.n_out * at.n_in)});
            if (turned_.size() < outputs.size()) turned_ = totals_of_layer_ = outputs;
            values_.push_back(outputs);
            gradients_.push_back(outputs);
            totals_ = outputs;
        }
        waiting_.resize(layers());
        landed_.resize(layers());
    }

    // Samples taken at one clock edge after another; see LearnerBackend.run. `rates` are all registers for each sample,
    // or none; see LearnerBackend.run_with_rates.
    void run(size_t samples, const int64_t *x, const int64_t *teaching, const uint8_t *learn, int64_t *predictions,
             const int64_t *rates) {
        int64_t n_in = layer(0).inputs(), n_out = layer(layers() - 1).n_out;
        size_t registers = layers();
        for (size_t index = 0; index < layers(); index++) registers += size_t(layer(index).linear.present);
        for (size_t sample = 0; sample < samples; sample++, x += n_in, teaching += n_out, predictions += n_out) {
            if (rates) change_rates(rates + sample * registers);
            forward(++edge_, x, predictions);
            if (!learn[sample] || *state_.frozen) continue;
            backward(teaching);
            update(edge_);
        }
    }

    // Waits until all updates have landed.
    void settle() {
        for (size_t index = 0; index < layers(); index++) land(index, edge_);
        edge_ = -1;
        count_landed();
    }

    void bind(const RealPlaces &places) { reals_ = Reals(places); }

    // One sample in real numbers, which lie where bind was told; see Reals::exchange.
    int64_t step(int kind) {
        return reals_.exchange(kind, size_t(layer(0).inputs()), size_t(layer(layers() - 1).n_out),
                               [this](const int64_t *codes, const int64_t *teaching, uint8_t learn, int64_t *predictions) {
                                   run(1, codes, teaching, &learn, predictions, nullptr);
                                   settle();
                               });
    }
};

} // namespace

// What the pointers point to must stay until the end, also that of the layers.
EXPORT Learner *kanrtl_begin(const State *state) { return new Learner(*state); }
EXPORT void kanrtl_end(Learner *learner) { delete learner; }
EXPORT void kanrtl_run(Learner *learner, size_t samples, const int64_t *x, const int64_t *teaching,
                       const uint8_t *learn, int64_t *predictions, const int64_t *rates) {
    learner->run(samples, x, teaching, learn, predictions, rates);
}
EXPORT void kanrtl_bind(Learner *learner, const RealPlaces *places) { learner->bind(*places); }
EXPORT void kanrtl_settle(Learner *learner) { learner->settle(); }
EXPORT int64_t kanrtl_step(Learner *learner, int kind) { return learner->step(kind); }
