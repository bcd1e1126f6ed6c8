// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/answers.h"

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "cri/passthrough/backend.h"
#include "cri/passthrough/field_reader.h"
#include "cri/rpc/socket.h"
#include "cri/rpc/status.h"

namespace serai::cri {
namespace {

bool IsUnimplemented(const Answered& answer) {
  return answer.status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
}

Answered Failed(const absl::Status& status) {
  return Answered{ToGrpc(status), {}};
}

// Messages written one after the other are one message, with the repeated
// fields of both. No byte is copied.
Answered Concatenated(const Answered& ours, const Answered& theirs) {
  const size_t size = ours.message.Length() + theirs.message.Length();
  if (size > static_cast<size_t>(kMaxMessageBytes)) {
    return Failed(absl::ResourceExhaustedError(
        absl::StrCat("the lists of seraid and containerd have ", size,
                     " bytes together; a client of the CRI takes ",
                     kMaxMessageBytes, ". Ask with a filter")));
  }
  std::vector<grpc::Slice> slices;
  for (const grpc::ByteBuffer* message : {&ours.message, &theirs.message}) {
    std::vector<grpc::Slice> more;
    const grpc::Status dumped = message->Dump(&more);
    if (!dumped.ok()) return Answered{dumped, {}};
    slices.insert(slices.end(), more.begin(), more.end());
  }
  return Answered{grpc::Status::OK,
                  grpc::ByteBuffer(slices.data(), slices.size())};
}

// The fields of `message`; of descriptors (field 1), those whose name (its
// field 1) is not among `names` yet, where it is put.
absl::Status AddDescriptors(const grpc::ByteBuffer& message,
                            absl::flat_hash_set<std::string>& names,
                            std::string& out) {
  ASSIGN_OR_RETURN(const grpc::Slice bytes, OnePiece(message));
  FieldReader reader(TextOf(bytes));
  while (const std::optional<WireField> field = reader.Next()) {
    if (field->number == 1 && field->type == WireType::kBytes) {
      ASSIGN_OR_RETURN(const auto name, FindString(field->value, {1}));
      if (!names.insert(std::string(name)).second) continue;
    }
    absl::StrAppend(&out, field->whole);
  }
  if (reader.ok()) return absl::OkStatus();
  return absl::InternalError("a list of descriptors is no protobuf message");
}

Answered Descriptors(const Answered& ours, const Answered& theirs) {
  absl::flat_hash_set<std::string> names;
  std::string out;
  for (const Answered* answer : {&theirs, &ours}) {
    const absl::Status added = AddDescriptors(answer->message, names, out);
    if (!added.ok()) return Failed(added);
  }
  const grpc::Slice slice(out);
  return Answered{grpc::Status::OK, grpc::ByteBuffer(&slice, 1)};
}

}  // namespace

Answered Merge(Kind kind, const Answered& ours, const Answered& theirs) {
  if (kind == Kind::kStatus) return MergeStatus(ours, theirs);
  if (kind == Kind::kRuntimeConfig) {
    return IsUnimplemented(theirs) ? ours : theirs;
  }
  if (kind == Kind::kMetrics || kind == Kind::kDescriptors) {
    if (IsUnimplemented(theirs)) return ours;
    if (IsUnimplemented(ours)) return theirs;
  }
  if (!theirs.status.ok()) return theirs;
  if (!ours.status.ok()) return ours;
  if (kind == Kind::kUpdate) return theirs;
  return kind == Kind::kDescriptors ? Descriptors(ours, theirs)
                                    : Concatenated(ours, theirs);
}

}  // namespace serai::cri
