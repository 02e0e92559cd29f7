// density.cpp: Weir from C++. Objects are freed by a unique_ptr, arrays are std::vector's, and errors become
// exceptions.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>
#include <weir/models.h>

namespace
{

struct Free {
    void operator()(nf_flow *flow) const
    {
        nf_flow_free(flow);
    }
};
using Flow = std::unique_ptr<nf_flow, Free>;

void check(ad_status status, const ad_error &error)
{
    if (status) throw std::runtime_error(error.message);
}

Flow parse(const char *formula, std::size_t dim)
{
    ad_error error;
    Flow flow(nf_flow_parse(formula, dim, 0, AD_F32, 1, &error));
    if (!flow) throw std::runtime_error(error.message);
    return flow;
}

} // namespace

int main()
try {
    const std::size_t rows = 2000;
    std::vector<double> x(2 * rows), log_prob(rows);
    nf_toy_draw(nf_toy_named("moons"), rows, 0.1, 1, x.data(), nullptr);

    Flow flow = parse("(rqs(16)-flip)*2", 2);
    nf_fit_options options = {};
    options.epochs = 10;
    nf_fit_report report;
    ad_error error;
    check(nf_fit(flow.get(), x.data(), rows, &options, &report, &error), error);
    check(nf_log_prob(flow.get(), x.data(), nullptr, rows, log_prob.data(), nullptr, &error), error);

    double sum = 0;
    for (double log_p : log_prob) sum += log_p;
    std::printf("Weir %s: mean log-density %.3f nats\n", weir_version(), sum / double(rows));
} catch (const std::runtime_error &fault) {
    std::fprintf(stderr, "%s\n", fault.what());
    return 1;
}
