#pragma once

#include <span>
#include <string>

namespace shardlab {

/// A library that is opened at run time and may be absent. Prefers one that the process has loaded
/// already, under any of the names, so that nothing is there twice.
class SharedLibrary {
 public:
  enum class Stay {
    kWhileUsed,
    kForGood
  };  ///< For good: what starts threads must not be unloaded.

  /// Opens the first of `names` that opens; open() says whether one did.
  explicit SharedLibrary(std::span<const std::string> names, Stay stay = Stay::kWhileUsed);
  ~SharedLibrary();
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  [[nodiscard]] bool open() const { return handle_ != nullptr; }
  /// Why the first of the names did not open. Empty when one is open.
  [[nodiscard]] const std::string& problem() const { return problem_; }

  /// The function of that name, or null. The caller knows its type. Requires open().
  template <typename Function>
  [[nodiscard]] Function* find(const char* name) const {
    return reinterpret_cast<Function*>(symbol(name));
  }

  /// Calls a C function that returns 0 when all is well; false when there is none or it fails.
  /// Requires open().
  template <typename... Arguments>
  [[nodiscard]] bool call(const char* name, Arguments... arguments) const {
    auto* const function = find<int(Arguments...)>(name);
    return function != nullptr && function(arguments...) == 0;
  }

 private:
  [[nodiscard]] void* symbol(const char* name) const;

  void* handle_ = nullptr;
  std::string problem_;
};

}  // namespace shardlab
