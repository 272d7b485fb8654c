// Loops over samples that numpy is slow at, because each sample needs what the one before left. The arithmetic is that
// of scaling.py beside this file, in the same order, so that results are the same to the bit.

#include <cmath>
#include <cstddef>
#include <cstdint>

#ifdef _WIN32
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

// A kanrtl.estimators.scaling.RunningScale: its arrays, one value for each column. A horizon of 0 is none.
struct RunningScale {
    uint64_t columns, horizon;
    double outlier, largest, beyond;
    int64_t *count;
    double *mean, *variance, *deviation, *divisor, *limit;
};

static inline double within(double value, double limit) {
    if (value < -limit) value = -limit;
    return value > limit ? limit : value;
}

static void learn(const RunningScale &scale, const double *row) {
    for (size_t column = 0; column < scale.columns; column++) {
        if (std::isnan(row[column])) continue;
        int64_t known = ++scale.count[column];
        if (scale.horizon && known > int64_t(scale.horizon)) known = int64_t(scale.horizon);
        double weight = 1.0 / double(known);
        double step = within(row[column] - scale.mean[column], scale.limit[column]);
        double move = weight * step;
        scale.mean[column] = scale.mean[column] + move;
        double variance = scale.variance[column] = (1 - weight) * (scale.variance[column] + move * step);
        double deviation = scale.deviation[column] = std::sqrt(variance);
        scale.divisor[column] = deviation > 0 ? deviation : HUGE_VAL;
        scale.limit[column] = deviation > 0 ? scale.outlier * deviation : scale.largest;
    }
}

static void to_unit(const RunningScale &scale, const double *row, double *scaled) {
    for (size_t column = 0; column < scale.columns; column++)
        scaled[column] = std::isnan(row[column])
                             ? 0.0
                             : within((row[column] - scale.mean[column]) / scale.divisor[column], scale.beyond);
}

// Takes rows into account where `learns`, and gives each scaled as it was then.
EXPORT void kanrtl_scale(const RunningScale *scale, int learns, size_t rows, const double *values, double *scaled) {
    for (size_t row = 0; row < rows; row++, values += scale->columns, scaled += scale->columns) {
        if (learns) learn(*scale, values);
        to_unit(*scale, values, scaled);
    }
}
