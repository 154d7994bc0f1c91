#include "traces/nsight_file.h"

#include <functional>
#include <map>
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
    count_graphs();
    if (!database_.has_table(kKernels)) refuse_no_kernels();
    by_process_ = database_.has_column(kKernels, "globalPid");
    read_devices();
    read_kernels();
    read_sets();
    read_copies();
    read_launches("CUPTI_ACTIVITY_KIND_RUNTIME");
    read_launches("CUPTI_ACTIVITY_KIND_DRIVER");
    read_ranges();
    return std::move(facts_);
  }

 private:
  using TakeRow = std::function<void(const SqliteRow&)>;

  /// The columns of every row of a table that is there. Optional ones, behind `?`, are null where
  /// the table has none. Throws Error where another is missing.
  void each(const std::string& table, const std::vector<std::string>& columns, const TakeRow& take,
            const std::string& rest = "") const {
    if (!database_.has_table(table)) return;
    std::string sql = "SELECT ";
    for (const std::string& column : columns) {
      const bool optional = column.starts_with('?');
      const std::string name = optional ? column.substr(1) : column;
      const bool there = database_.has_column(table, name);
      if (!there && !optional) throw Error(table + ": " + name + ": no such column");
      sql += (sql.size() > 7 ? ", " : "") + (there ? table + ".\"" + name + "\"" : "NULL");
    }
    if (columns.empty()) sql += "NULL";
    database_.query(sql + " FROM " + table + rest, take);
  }

  [[noreturn]] void refuse_no_kernels() const {
    if (!facts_.unusable.empty()) {
      throw Error(fmt::format("no table {}: {}", kKernels, facts_.unusable.begin()->first));
    }
    if (database_.has_table("NVTX_EVENTS") || database_.has_table("StringIds")) {
      throw Error(
          fmt::format("no table {}: nothing ran on a GPU, or nsys profile was told to "
                      "leave it out (--trace cuda,nvtx records it)",
                      kKernels));
    }
    throw Error(
        fmt::format("no table {}: it is no export of Nsight Systems; nsys export --type "
                    "sqlite writes one",
                    kKernels));
  }

  void count_graphs() {
    each("CUPTI_ACTIVITY_KIND_GRAPH_TRACE", {}, [&](const SqliteRow&) {
      ++facts_.unusable
            ["they are whole CUDA graphs, without their kernels; record with nsys "
             "profile --cuda-graph-trace=node"];
    });
  }

  /// Work has the number that its process gave a device; which GPU that is, another table says.
  void read_devices() {
    std::map<std::int64_t, std::string> names;
    each("TARGET_INFO_GPU", {"?id", "?name"},
         [&](const SqliteRow& row) { names.emplace(row.integer(0), row.text(1)); });
    each("TARGET_INFO_CUDA_DEVICE", {"?cudaId", "?gpuId"}, [&](const SqliteRow& row) {
      const auto name = names.find(row.integer(1));
      if (row.null(0) || row.null(1) || name == names.end()) return;
      const auto [known, fresh] = facts_.devices.emplace(row.integer(0), name->second);
      if (!fresh && known->second != name->second) known->second.clear();  // Of unlike processes.
    });
    facts_.devices.merge(names);
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

  /// Of a serialized thread or process id.
  static std::int64_t process(std::int64_t global) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(global) >> 24 & 0xffffff);
  }

  /// Processes number their calls alike. Where work does not say whose it is, numbers are taken as
  /// they are.
  std::int64_t correlation(const SqliteRow& row, int id, int global) {
    const std::uint64_t whose =
        by_process_ ? static_cast<std::uint64_t>(row.integer(global)) >> 24 : 0;
    const auto index =
        processes_.emplace(whose, static_cast<std::int64_t>(processes_.size())).first->second;
    return (index << 32) | (row.integer(id) & 0xffffffff);
  }

  NsightReader::Work work(const SqliteRow& row) {
    NsightReader::Work result{correlation(row, 3, 4), row.integer(0), row.integer(1),
                              row.integer(2)};
    if (by_process_) result.process = process(row.integer(4));
    return result;
  }

  void read_kernels() {
    const auto names = strings_of(kKernels, {"demangledName", "shortName"});
    each(
        kKernels,
        {"start", "end", "deviceId", "correlationId", "?globalPid", "?demangledName", "?shortName"},
        [&](const SqliteRow& row) {
          if (!timed(row, 0, 1)) return;
          NsightReader::Work kernel = work(row);
          for (const int column : {6, 5}) {
            const auto name = names.find(row.integer(column));
            if (!row.null(column) && name != names.end()) kernel.kernel = name->second;
          }
          reader_.work(kernel);
        });
  }

  void read_sets() {
    each("CUPTI_ACTIVITY_KIND_MEMSET", {"start", "end", "deviceId", "correlationId", "?globalPid"},
         [&](const SqliteRow& row) {
           if (timed(row, 0, 1)) reader_.work(work(row));
         });
  }

  /// As CUpti_ActivityMemcpyKind numbers them.
  static CopyDirection direction_of(std::int64_t kind) {
    constexpr std::int64_t kToDevice = 1, kToHost = 2, kWithin = 8, kToPeer = 10;
    if (kind == kToDevice) return CopyDirection::kHostToDevice;
    if (kind == kToHost) return CopyDirection::kDeviceToHost;
    return kind == kWithin || kind == kToPeer ? CopyDirection::kDeviceToDevice
                                              : CopyDirection::kOther;
  }

  void read_copies() {
    constexpr std::int64_t kPinned = 1;
    each("CUPTI_ACTIVITY_KIND_MEMCPY",
         {"start", "end", "deviceId", "?correlationId", "?globalPid", "bytes", "copyKind",
          "?srcKind", "?dstKind"},
         [&](const SqliteRow& row) {
           if (!timed(row, 0, 1)) return;
           const CopyDirection direction = direction_of(row.integer(6));
           const bool to_device = direction == CopyDirection::kHostToDevice;
           const bool of_host = to_device || direction == CopyDirection::kDeviceToHost;
           const bool pinned = of_host && row.integer(to_device ? 7 : 8) == kPinned;
           reader_.copy({work(row), row.integer(5), {direction, pinned}});
         });
  }

  void read_launches(const std::string& table) {
    each(table, {"start", "correlationId", "globalTid"}, [&](const SqliteRow& row) {
      if (!timed(row, 0, 0)) return;
      reader_.launch({correlation(row, 1, 2), row.integer(0),
                      static_cast<std::uint64_t>(row.integer(2)), process(row.integer(2))});
    });
  }

  void read_ranges() {
    constexpr std::int64_t kPushPop = 59, kStartEnd = 60;
    const auto names = strings_of("NVTX_EVENTS", {"textId"});
    each("NVTX_EVENTS", {"start", "end", "?text", "?textId", "?globalTid", "?eventType"},
         [&](const SqliteRow& row) {
           if (!row.null(5) && row.integer(5) != kPushPop && row.integer(5) != kStartEnd) {
             ++facts_.unusable["they are marks of NVTX, not ranges"];
             return;
           }
           if (!timed(row, 0, 1)) return;
           std::string_view name = row.text(2);
           const auto text = names.find(row.integer(3));
           if (name.empty() && !row.null(3) && text != names.end()) name = text->second;
           reader_.range({name, static_cast<std::uint64_t>(row.integer(4)), process(row.integer(4)),
                          row.integer(0), row.integer(1)});
         });
  }

  /// The strings that these columns of a table name; there are many others.
  std::unordered_map<std::int64_t, std::string> strings_of(
      const std::string& table, const std::vector<std::string>& columns) const {
    std::unordered_map<std::int64_t, std::string> strings;
    if (!database_.has_table(table)) return strings;
    for (const std::string& column : columns) {
      if (!database_.has_column(table, column)) continue;
      each(
          "StringIds", {"id", "value"},
          [&](const SqliteRow& row) { strings.emplace(row.integer(0), row.text(1)); },
          " WHERE id IN (SELECT \"" + column + "\" FROM " + table + ")");
    }
    return strings;
  }

  const SqliteDatabase& database_;
  NsightReader& reader_;
  NsightFacts facts_;
  std::unordered_map<std::uint64_t, std::int64_t> processes_;
  bool by_process_ = true;  ///< Kernels say whose they are.
};

}  // namespace

NsightFacts read_nsight(const SqliteDatabase& database, NsightReader& reader) {
  return Tables(database, reader).read();
}

}  // namespace shardlab
