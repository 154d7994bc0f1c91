#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace shardlab {

/// Threads that computing can use: all cores.
inline std::size_t default_threads() {
  return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

/// Calls `body(i)` for every i below `count`, each once, on up to `threads` threads, in ascending
/// order of their beginnings. Rethrows the first exception, after which nothing more is begun.
template <typename Body>
void parallel_for(std::size_t count, std::size_t threads, const Body& body) {
  std::atomic<std::size_t> next = 0;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        body(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t t = 1; t < std::min(threads, count); ++t) others.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace shardlab
