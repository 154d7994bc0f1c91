#pragma once

#include <cstddef>
#include <cstdint>

namespace shardlab {

enum class JobId : std::uint32_t {};     ///< Index into Workload::jobs.
enum class TrackId : std::uint32_t {};   ///< Of all jobs' tracks, those of lower jobs first.
enum class DeviceId : std::uint32_t {};  ///< Index into Cluster::devices.

constexpr JobId kNoJob{UINT32_MAX};
constexpr TrackId kNoTrack{UINT32_MAX};
constexpr DeviceId kNoDevice{UINT32_MAX};

constexpr std::size_t index(JobId id) { return static_cast<std::size_t>(id); }
constexpr std::size_t index(TrackId id) { return static_cast<std::size_t>(id); }
constexpr std::size_t index(DeviceId id) { return static_cast<std::size_t>(id); }
constexpr JobId job_id(std::size_t i) { return JobId{static_cast<std::uint32_t>(i)}; }
constexpr TrackId track_id(std::size_t i) { return TrackId{static_cast<std::uint32_t>(i)}; }
constexpr DeviceId device_id(std::size_t i) { return DeviceId{static_cast<std::uint32_t>(i)}; }

}  // namespace shardlab
