// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/find_unikernel.h"

#include <optional>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "lib/base/file.h"
#include "lib/guest/scan.h"
#include "lib/oci/json_reader.h"
#include "lib/oci/rootfs.h"
#include "lib/oci/runtime_spec.h"

namespace serai::guest {
namespace {

using oci::Json;

constexpr char kUruncBinary[] = "com.urunc.unikernel.binary";
constexpr char kUruncFile[] = "/urunc.json";
constexpr char kUruncBase64Prefix[] = "b64:";
constexpr size_t kMaxUruncFile = 64 * 1024;
constexpr const char* kTargets[] = {"hvt", "spt"};

// What a step of the search came to: the node's choice, or nothing said.
using Found = std::optional<FoundUnikernel>;

absl::Status BadImage(absl::string_view message) {
  return absl::InvalidArgumentError(message);
}

std::optional<std::string> Lookup(const StringMap& map,
                                  const std::string& key) {
  const auto it = map.find(key);
  if (it == map.end() || it->second.empty()) return std::nullopt;
  return it->second;
}

// An annotation, else a label.
std::optional<std::string> WordOf(const ImageWords& words,
                                  const std::string& key) {
  std::optional<std::string> value = Lookup(words.annotations, key);
  return value ? value : Lookup(words.labels, key);
}

std::string WhyNot(const NodeTargets& node, solo5::Target target) {
  const std::string& reason =
      target == solo5::Target::kHvt ? node.hvt_reason : node.spt_reason;
  return reason.empty() ? "this node is not set up for it" : reason;
}

bool Runs(const NodeTargets& node, solo5::Target target) {
  return target == solo5::Target::kHvt   ? node.hvt
         : target == solo5::Target::kSpt ? node.spt
                                         : false;
}

// Which of `candidates` this node runs: hvt if it can, else spt.
absl::StatusOr<FoundUnikernel> Select(std::vector<FoundUnikernel> candidates,
                                      const NodeTargets& node) {
  for (const solo5::Target target :
       {solo5::Target::kHvt, solo5::Target::kSpt}) {
    FoundUnikernel* chosen = nullptr;
    for (FoundUnikernel& candidate : candidates) {
      if (candidate.unikernel.target != target) continue;
      if (chosen != nullptr && chosen->path != candidate.path) {
        return BadImage(absl::StrCat(
            "several unikernels for ", solo5::TargetName(target), ": ",
            chosen->path, " and ", candidate.path, "; the image's label ",
            oci::kUnikernelAnnotation, " or the pod's annotation ",
            kPodAnnotationUnikernel, " must name one"));
      }
      chosen = &candidate;
    }
    if (chosen != nullptr && Runs(node, target)) return std::move(*chosen);
  }
  const FoundUnikernel& first = candidates.front();
  const solo5::Target target = first.unikernel.target;
  std::string message =
      absl::StrCat(first.path, " is built for ", solo5::TargetName(target),
                   ", which cannot run here: ", WhyNot(node, target));
  if (candidates.size() == 1 && target == solo5::Target::kHvt && node.spt) {
    absl::StrAppend(&message, "; an spt build of it would run");
  }
  for (size_t i = 1; i < candidates.size(); ++i) {
    const solo5::Target other = candidates[i].unikernel.target;
    if (other == target) continue;
    absl::StrAppend(&message, "; nor can ", candidates[i].path, ", for ",
                    solo5::TargetName(other), ": ", WhyNot(node, other));
  }
  return absl::FailedPreconditionError(message);
}

class Search {
 public:
  Search(int root_fd, const ImageWords& words, const NodeTargets& node)
      : root_fd_(root_fd), words_(words), node_(node) {}

  absl::StatusOr<Found> ByPod() {
    const auto path = Lookup(words_.pod_annotations, kPodAnnotationUnikernel);
    if (path) {
      return Named({*path}, absl::StrCat("the pod's annotation ",
                                         kPodAnnotationUnikernel));
    }
    if (words_.command.empty()) return Found();
    return Named({words_.command}, "the container's command");
  }

  absl::StatusOr<Found> ByOwnLabels() {
    std::vector<std::string> paths;
    for (const char* target : kTargets) {
      const auto path =
          WordOf(words_, absl::StrCat(oci::kUnikernelAnnotation, ".", target));
      if (path) paths.push_back(*path);
    }
    const auto single = WordOf(words_, oci::kUnikernelAnnotation);
    if (single && paths.empty()) paths.push_back(*single);
    if (paths.empty()) return Found();
    return Named(paths, absl::StrCat(words_.speaker, "'s label ",
                                     oci::kUnikernelAnnotation));
  }

  absl::StatusOr<Found> ByUrunc() {
    if (const auto word = WordOf(words_, kUruncBinary)) {
      return Named(
          {UruncPath(*word)},
          absl::StrCat(words_.speaker, "'s annotation ", kUruncBinary));
    }
    ASSIGN_OR_RETURN(const auto word, UruncFileWord());
    if (!word) return Found();
    return Named({UruncPath(*word)}, absl::StrCat("the image's ", kUruncFile));
  }

  // An entrypoint that is no unikernel is an ordinary program beside one,
  // perhaps: the search goes on.
  absl::StatusOr<Found> ByEntrypoint() {
    if (words_.entrypoint.empty() || words_.entrypoint[0].empty()) {
      return Found();
    }
    const std::string& program = words_.entrypoint[0];
    const std::string source = absl::StrCat(words_.speaker, "'s entrypoint");
    FoundUnikernel found;
    ASSIGN_OR_RETURN(
        const Verdict verdict,
        Read(
            program[0] == '/' ? program : JoinPath(words_.working_dir, program),
            &found),
        source, " ", program);
    if (verdict.problem == solo5::Problem::kNotSolo5) {
      if (words_.entrypoint_may_be_pods && program[0] == '/' &&
          !oci::OpenRegularInRoot(root_fd_, program).ok()) {
        return BadImage(
            absl::StrCat(source, " ", program, ": ", verdict.message));
      }
      entrypoint_note_ = absl::StrCat("its entrypoint ", program, " is none (",
                                      verdict.message, ")");
      return Found();
    }
    if (verdict.problem != solo5::Problem::kNone) {
      return BadImage(
          absl::StrCat(source, " ", program, ": ", verdict.message));
    }
    found.source = source;
    std::vector<FoundUnikernel> candidates;
    candidates.push_back(std::move(found));
    RETURN_IF_ERROR(AddTwin(candidates));
    ASSIGN_OR_RETURN(FoundUnikernel chosen,
                     Select(std::move(candidates), node_));
    return Found(std::move(chosen));
  }

  absl::StatusOr<FoundUnikernel> ByScan() {
    ASSIGN_OR_RETURN(const ScanResult scan, ScanForUnikernels(root_fd_));
    std::vector<FoundUnikernel> candidates;
    for (const ScannedFile& file : scan.unikernels) {
      candidates.push_back(
          {file.path, file.unikernel, "the only one in the image's files"});
    }
    if (!candidates.empty()) return Select(std::move(candidates), node_);
    if (!scan.refused.empty()) {
      return BadImage(absl::StrCat("no unikernel in the image that can run: ",
                                   absl::StrJoin(scan.refused, "; ")));
    }
    return BadImage(absl::StrCat(
        "no unikernel in the image: the pod has no annotation ",
        kPodAnnotationUnikernel, ", the image no annotation or label ",
        oci::kUnikernelAnnotation, " or ", kUruncBinary, " and no ", kUruncFile,
        ", ", entrypoint_note_, ", and none of its ", scan.file_count,
        " files is a Solo5 unikernel"));
  }

 private:
  struct Verdict {
    solo5::Problem problem = solo5::Problem::kNone;
    std::string message;
  };

  // To a file /x.hvt its /x.spt, or the other way round, when the node does not
  // run what there is: an image may hold both.
  absl::Status AddTwin(std::vector<FoundUnikernel>& candidates) {
    const FoundUnikernel& one = candidates.front();
    const bool is_hvt = one.unikernel.target == solo5::Target::kHvt;
    absl::string_view stem = one.path;
    if (Runs(node_, one.unikernel.target) ||
        !absl::ConsumeSuffix(&stem, is_hvt ? ".hvt" : ".spt")) {
      return absl::OkStatus();
    }
    FoundUnikernel twin;
    ASSIGN_OR_RETURN(const Verdict verdict,
                     Read(absl::StrCat(stem, is_hvt ? ".spt" : ".hvt"), &twin));
    if (verdict.problem != solo5::Problem::kNone) return absl::OkStatus();
    twin.source = one.source;
    candidates.push_back(std::move(twin));
    return absl::OkStatus();
  }

  // What `path` is. A path with nothing to read at its end is kNotSolo5.
  absl::StatusOr<Verdict> Read(const std::string& path, FoundUnikernel* out) {
    absl::StatusOr<oci::RootFile> file = oci::OpenRegularInRoot(root_fd_, path);
    if (!file.ok()) {
      if (absl::IsResourceExhausted(file.status())) return file.status();
      return Verdict{solo5::Problem::kNotSolo5,
                     std::string(file.status().message())};
    }
    solo5::Error error;
    if (!solo5::ReadUnikernel(file->fd.get(), &out->unikernel, &error)) {
      return Verdict{error.problem, error.message};
    }
    out->path = std::move(file->path);
    return Verdict{};
  }

  absl::StatusOr<Found> Named(const std::vector<std::string>& paths,
                              const std::string& source) {
    std::vector<FoundUnikernel> candidates;
    for (const std::string& path : paths) {
      FoundUnikernel found;
      ASSIGN_OR_RETURN(const Verdict verdict, Read(path, &found));
      if (verdict.problem != solo5::Problem::kNone) {
        return BadImage(
            absl::StrCat(source, " names ", path, ": ", verdict.message));
      }
      found.source = source;
      candidates.push_back(std::move(found));
    }
    ASSIGN_OR_RETURN(FoundUnikernel chosen,
                     Select(std::move(candidates), node_));
    return Found(std::move(chosen));
  }

  // urunc's builders write values plainly, in base64 behind "b64:", or, older
  // ones, in base64 with nothing to tell it from plain text: then the file
  // that exists decides.
  std::string UruncPath(const std::string& word) const {
    std::string decoded;
    absl::string_view encoded = word;
    if (absl::ConsumePrefix(&encoded, kUruncBase64Prefix)) {
      return absl::Base64Unescape(encoded, &decoded) ? decoded : word;
    }
    if (oci::OpenRegularInRoot(root_fd_, word).ok()) return word;
    return absl::Base64Unescape(encoded, &decoded) && !decoded.empty() ? decoded
                                                                       : word;
  }

  absl::StatusOr<std::optional<std::string>> UruncFileWord() const {
    const std::optional<std::string> none;
    absl::StatusOr<oci::RootFile> file =
        oci::OpenRegularInRoot(root_fd_, kUruncFile);
    if (!file.ok()) return none;
    ASSIGN_OR_RETURN(const std::string text,
                     ReadAll(file->fd.get(), kMaxUruncFile), "the image's ",
                     kUruncFile);
    const Json json = oci::ParseJson(text).value_or(Json());
    const auto it = json.find(kUruncBinary);
    if (it == json.end() || !it->is_string() || *it == "") {
      return BadImage(absl::StrCat("the image's ", kUruncFile, " does not say ",
                                   kUruncBinary));
    }
    return std::optional<std::string>(it->get<std::string>());
  }

  const int root_fd_;
  const ImageWords& words_;
  const NodeTargets& node_;
  std::string entrypoint_note_ = "it has no entrypoint";
};

}  // namespace

absl::StatusOr<FoundUnikernel> FindUnikernel(int root_fd,
                                             const ImageWords& words,
                                             const NodeTargets& node) {
  Search search(root_fd, words, node);
  ASSIGN_OR_RETURN(Found found, search.ByPod());
  if (found) return *std::move(found);
  ASSIGN_OR_RETURN(found, search.ByOwnLabels());
  if (found) return *std::move(found);
  ASSIGN_OR_RETURN(found, search.ByUrunc());
  if (found) return *std::move(found);
  ASSIGN_OR_RETURN(found, search.ByEntrypoint());
  if (found) return *std::move(found);
  return search.ByScan();
}

}  // namespace serai::guest
