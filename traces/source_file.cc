#include "traces/source_file.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <xxhash.h>

#include "core/error.h"

namespace shardlab {

SourceFile source_file(const std::string& path) {
  constexpr std::size_t kPiece = 1 << 20;
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                       XXH3_freeState);
  XXH3_64bits_reset(state.get());
  SourceFile result{std::filesystem::path(path).filename().string(), 0, {}};
  std::vector<char> piece(kPiece);
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    XXH3_64bits_update(state.get(), piece.data(), static_cast<std::size_t>(file.gcount()));
    result.bytes += file.gcount();
  }
  if (!file.eof()) {
    throw Error(fmt::format("{}: cannot read: {}", path, std::generic_category().message(errno)));
  }
  result.xxh3 = fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
  return result;
}

}  // namespace shardlab
