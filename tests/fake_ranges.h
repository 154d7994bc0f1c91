#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

namespace shardlab::fake {

/// Address ranges that do not overlap. Any thread.
template <class Value>
class Ranges {
 public:
  void insert(const void* begin, std::size_t bytes, Value value) {
    const std::unique_lock lock(mutex_);
    ranges_[static_cast<const char*>(begin)] = {bytes, value};
  }
  void erase(const void* begin) {
    const std::unique_lock lock(mutex_);
    ranges_.erase(static_cast<const char*>(begin));
  }
  Value find(const void* address) const {
    const std::shared_lock lock(mutex_);
    auto after = ranges_.upper_bound(static_cast<const char*>(address));
    if (after == ranges_.begin()) return Value{};
    const auto& [begin, range] = *--after;
    return static_cast<const char*>(address) < begin + range.first ? range.second : Value{};
  }

 private:
  mutable std::shared_mutex mutex_;
  std::map<const char*, std::pair<std::size_t, Value>> ranges_;
};

}  // namespace shardlab::fake
