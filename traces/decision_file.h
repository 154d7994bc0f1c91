#pragma once

#include <string>
#include <vector>

#include "core/decision.h"
#include "core/early_stop.h"

namespace shardlab {

/// What a search decided in a run, and what is wrong with the file, if anything: decisions from
/// there on are not known.
struct DecisionFile {
  std::vector<Decision> decisions;
  std::string problem;
};

/// A checksum in each line; atomic and lasting, see write_file_atomically.
void write_decisions(const std::string& path, const EarlyStop& search, std::size_t jobs,
                     const std::vector<Decision>& decisions);

/// Nothing where there is no file. Throws Error, naming the difference, where it is of another
/// search.
DecisionFile read_decisions(const std::string& path, const EarlyStop& search, std::size_t jobs);

}  // namespace shardlab
