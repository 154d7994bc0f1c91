#include "traces/nsight_file.h"

#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

constexpr const char* kKernels = "CUPTI_ACTIVITY_KIND_KERNEL";
constexpr std::int64_t kLatest = std::int64_t{1} << 60;

class Tables {
 public:
  Tables(const SqliteDatabase& database, NsightReader& reader)
      : database_(database), reader_(reader) {}

  NsightFacts read() {
    if (!database_.has_table(kKernels)) {
      throw Error(
          fmt::format("no table {}: it is no export of Nsight Systems, or nothing ran on a "
                      "GPU; nsys export --type sqlite writes one",
                      kKernels));
    }
    read_devices();
    read_work(kKernels);
    read_work("CUPTI_ACTIVITY_KIND_MEMSET");
    read_copies();
    read_launches();
    read_ranges();
    return std::move(facts_);
  }

 private:
  using TakeRow = std::function<void(const SqliteRow&)>;

  /// The columns of every row of a table that is there. Optional ones, behind `?`, are null where
  /// the table has none. Throws Error where another is missing.
  void each(const std::string& table, const std::vector<std::string>& columns, const TakeRow& take,
            const std::string& rest = "") {
    if (!database_.has_table(table)) return;
    std::string sql = "SELECT ";
    for (const std::string& column : columns) {
      const bool optional = column.starts_with('?');
      const std::string name = optional ? column.substr(1) : column;
      const bool there = database_.has_column(table, name);
      if (!there && !optional) throw Error(table + ": " + name + ": no such column");
      sql += (sql.size() > 7 ? ", " : "") + (there ? table + ".\"" + name + "\"" : "NULL");
    }
    database_.query(sql + " FROM " + table + rest, take);
  }

  void read_devices() {
    each("TARGET_INFO_GPU", {"id", "name"},
         [&](const SqliteRow& row) { facts_.devices.emplace(row.integer(0), row.text(1)); });
  }

  /// False where the times of a row cannot be used, which is counted.
  bool timed(const SqliteRow& row, int start, int end) {
    const std::int64_t from = row.integer(start), to = row.integer(end);
    if (!row.null(start) && !row.null(end) && from >= -kLatest && from <= to && to <= kLatest) {
      return true;
    }
    ++facts_.unusable["they have no start, no end, or an end before it"];
    return false;
  }

  /// Processes number their calls alike; of a thread or process the upper bits are the process.
  std::int64_t correlation(const SqliteRow& row, int id, int global) {
    const auto process = static_cast<std::uint64_t>(row.integer(global)) >> 24;
    const auto index =
        processes_.emplace(process, static_cast<std::int64_t>(processes_.size())).first->second;
    return (index << 32) | (row.integer(id) & 0xffffffff);
  }

  NsightReader::Work work(const SqliteRow& row) {
    return {correlation(row, 3, 4), row.integer(0), row.integer(1), row.integer(2)};
  }

  void read_work(const std::string& table) {
    each(table, {"start", "end", "deviceId", "correlationId", "?globalPid"},
         [&](const SqliteRow& row) {
           if (timed(row, 0, 1)) reader_.work(work(row));
         });
  }

  void read_copies() {
    constexpr std::int64_t kToDevice = 1, kToHost = 2, kPinned = 1;
    each("CUPTI_ACTIVITY_KIND_MEMCPY",
         {"start", "end", "deviceId", "?correlationId", "?globalPid", "bytes", "copyKind",
          "?srcKind", "?dstKind"},
         [&](const SqliteRow& row) {
           if (!timed(row, 0, 1)) return;
           const bool to_device = row.integer(6) == kToDevice, to_host = row.integer(6) == kToHost;
           const int host_side = to_device ? 7 : 8;
           reader_.copy(
               {work(row), row.integer(5), to_device, to_host, row.integer(host_side) == kPinned});
         });
  }

  void read_launches() {
    each("CUPTI_ACTIVITY_KIND_RUNTIME", {"start", "correlationId", "globalTid"},
         [&](const SqliteRow& row) {
           if (!timed(row, 0, 0)) return;
           reader_.launch({correlation(row, 1, 2), row.integer(0),
                           static_cast<std::uint64_t>(row.integer(2))});
         });
  }

  void read_ranges() {
    constexpr std::int64_t kPushPop = 59, kStartEnd = 60;
    if (!database_.has_table("NVTX_EVENTS")) return;
    const bool strings = database_.has_table("StringIds");
    if (strings) read_strings();
    each("NVTX_EVENTS", {"start", "end", "?text", "?textId", "?globalTid", "eventType"},
         [&](const SqliteRow& row) {
           if (row.integer(5) != kPushPop && row.integer(5) != kStartEnd) {
             ++facts_.unusable["they are marks of NVTX, not ranges"];
             return;
           }
           if (!timed(row, 0, 1)) return;
           const auto text = strings_.find(row.integer(3));
           std::string_view name = row.text(2);
           if (row.null(2) && text != strings_.end()) name = text->second;
           reader_.range(
               {name, static_cast<std::uint64_t>(row.integer(4)), row.integer(0), row.integer(1)});
         });
  }

  /// Those that ranges name; kernels' names are there too, and many.
  void read_strings() {
    if (!database_.has_column("NVTX_EVENTS", "textId")) return;
    each(
        "StringIds", {"id", "value"},
        [&](const SqliteRow& row) { strings_.emplace(row.integer(0), row.text(1)); },
        " WHERE id IN (SELECT textId FROM NVTX_EVENTS)");
  }

  const SqliteDatabase& database_;
  NsightReader& reader_;
  NsightFacts facts_;
  std::unordered_map<std::uint64_t, std::int64_t> processes_;
  std::unordered_map<std::int64_t, std::string> strings_;
};

}  // namespace

NsightFacts read_nsight(const SqliteDatabase& database, NsightReader& reader) {
  return Tables(database, reader).read();
}

}  // namespace shardlab
