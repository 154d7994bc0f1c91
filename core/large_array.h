#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace shardlab {

/// Asks for huge pages where there is room for one. Tens of megabytes that are looked at in no
/// order miss the table of small pages nearly every time.
template <typename T>
struct HugePages {
  using value_type = T;
  static constexpr std::size_t kPage = std::size_t{2} << 20;

  HugePages() = default;
  template <typename Other>
  explicit HugePages(const HugePages<Other>&) {}

  T* allocate(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    if (bytes < kPage) return std::allocator<T>().allocate(count);
    void* memory = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
    if (memory == nullptr) throw std::bad_alloc();
#ifdef __linux__
    madvise(memory, bytes, MADV_HUGEPAGE);  // Only a wish: small pages will do.
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, std::size_t count) {
    if (count * sizeof(T) < kPage) return std::allocator<T>().deallocate(memory, count);
    std::free(memory);
  }
  template <typename Other>
  bool operator==(const HugePages<Other>&) const {
    return true;
  }
};

/// For what grows with the number of jobs and is looked at for every unit.
template <typename T>
using LargeArray = std::vector<T, HugePages<T>>;

}  // namespace shardlab
