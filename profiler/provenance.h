#pragma once

#include <istream>
#include <string>

namespace shardlab {

/// The first "model name" of a /proc/cpuinfo, or "unknown processor".
std::string processor_name(std::istream& cpuinfo);

/// Of this machine, with its number of logical cores: "AMD EPYC, 2 cores".
std::string describe_processor();

/// Now, as "2026-01-31T12:00:00Z".
std::string utc_now();

}  // namespace shardlab
