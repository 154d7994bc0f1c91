#include "models/standard_library.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

#include "core/error.h"

namespace shardlab {
namespace {

namespace fs = std::filesystem;

/// 11 for python3.11, else -1.
int minor_version(const fs::path& folder) {
  constexpr std::string_view kPrefix = "python3.";
  const std::string name = folder.filename().string();
  if (!name.starts_with(kPrefix)) return -1;
  int minor = -1;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, minor);
  return error == std::errc() && stop == end ? minor : -1;
}

bool is_library(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "os.py", ignored);
}

fs::path ask_python() {
  FILE* pipe = popen(
      "python3 -c 'import sysconfig; print(sysconfig.get_path(\"stdlib\"))' 2>/dev/null", "r");
  if (pipe == nullptr) return {};
  std::array<char, 4096> line{};
  const bool read = fgets(line.data(), line.size(), pipe) != nullptr;
  pclose(pipe);
  std::string path = read ? line.data() : "";
  while (!path.empty() && path.back() == '\n') path.pop_back();
  return path;
}

}  // namespace

fs::path find_standard_library() {
  fs::path best;
  int newest = -1;
  for (const char* parent : {"/usr/lib", "/usr/local/lib", "/usr/lib64"}) {
    std::error_code missing;
    for (const fs::directory_entry& entry : fs::directory_iterator(parent, missing)) {
      const int minor = minor_version(entry.path());
      if (minor <= newest || !is_library(entry.path())) continue;
      newest = minor;
      best = entry.path();
    }
  }
  if (best.empty()) best = ask_python();
  if (best.empty() || !is_library(best)) {
    throw Error(
        "no Python standard library on this machine to take text from: give a text file or folder "
        "as `data`");
  }
  return best;
}

}  // namespace shardlab
