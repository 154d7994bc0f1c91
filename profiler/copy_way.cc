#include "profiler/copy_way.h"

#include <atomic>
#include <cstddef>
#include <exception>
#include <latch>
#include <utility>
#include <vector>

#include "profiler/samples.h"

namespace shardlab {

CopyWay::CopyWay(const TorchDevice& device, const TorchDevice* peer, LinkCost link, Bytes largest)
    : device_(device), link_(std::move(link)) {
  worker_.run([&] {
    device_.enter(link_.way == LinkWay::kToDevice ? TorchDevice::Queue::kPromote
                                                  : TorchDevice::Queue::kDemote);
    bench_ = peer == nullptr ? std::make_unique<CopyBench>(device_, link_.pinned, largest)
                             : std::make_unique<CopyBench>(device_, *peer, largest);
  });
}

void CopyWay::copy_all_sizes(std::vector<CopySample>& samples) {
  link_.way == LinkWay::kToDevice ? bench_->to_device(samples) : bench_->to_host(samples);
}

void CopyWay::copy_largest() { (void)bench_->largest(link_.way == LinkWay::kToDevice); }

void CopyWay::measure(int rounds) {
  worker_.run([&] {
    std::vector<CopySample> samples;
    for (int i = 0; i < rounds; ++i) copy_all_sizes(samples);
    link_.sizes = medians(samples);
    link_.cost = fit_copy_cost(samples);
    link_.residual = worst_residual(samples, link_.cost);
  });
}

double CopyWay::alone(int rounds) {
  if (alone_ == 0) worker_.run([&] { alone_ = rate(rounds); });
  return alone_;
}

double CopyWay::rate(int rounds) {
  Samples times;
  for (int i = 0; i < rounds; ++i) {
    times.push_back(bench_->largest(link_.way == LinkWay::kToDevice));
  }
  return static_cast<double>(bench_->largest_bytes()) / seconds(summarize(std::move(times)).median);
}

std::vector<double> rates_together(std::span<CopyWay* const> ways, int rounds) {
  const auto count = static_cast<std::ptrdiff_t>(ways.size());
  std::latch started(count), done(count);
  std::vector<double> rates(ways.size());
  for (std::size_t i = 0; i < ways.size(); ++i) {
    ways[i]->worker_.start([&, i] {
      started.arrive_and_wait();
      {
        // Counted down whatever happens: the others wait for it.
        const std::shared_ptr<void> leave(nullptr, [&](void*) { done.count_down(); });
        rates[i] = ways[i]->rate(rounds);
      }
      while (!done.try_wait()) ways[i]->copy_largest();
    });
  }
  std::exception_ptr failed;
  for (CopyWay* way : ways) {
    try {
      way->worker_.wait();
    } catch (...) {
      if (!failed) failed = std::current_exception();
    }
  }
  if (failed) std::rethrow_exception(failed);
  return rates;
}

void while_copying(CopyWay& way, const std::function<void()>& body) {
  std::atomic<bool> stop = false;
  std::latch copied(1);
  way.worker_.start([&] {
    {
      const std::shared_ptr<void> leave(nullptr, [&](void*) { copied.count_down(); });
      way.copy_largest();
    }
    while (!stop) way.copy_largest();
  });
  copied.wait();
  std::exception_ptr failed;
  try {
    body();
  } catch (...) {
    failed = std::current_exception();
  }
  stop = true;
  way.worker_.wait();
  if (failed) std::rethrow_exception(failed);
}

}  // namespace shardlab
