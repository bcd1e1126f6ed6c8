// SPDX-License-Identifier: Apache-2.0
#include "cri/log/redact.h"

#include <google/protobuf/descriptor.h>

#include <memory>
#include <vector>

#include "cri/log/log.h"
#include "spdlog/spdlog.h"

namespace serai::cri {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr char kRedacted[] = "(redacted)";
constexpr char kLastApplied[] =
    "kubectl.kubernetes.io/last-applied-configuration";

// Environment variables are KeyValues; AuthConfig is a secret but for its user
// and its registry.
bool IsSecret(const FieldDescriptor& field) {
  const std::string& type = field.containing_type()->full_name();
  if (type == "runtime.v1.KeyValue") return field.name() == "value";
  if (type != "runtime.v1.AuthConfig") return false;
  return field.name() == "password" || field.name() == "auth" ||
         field.name() == "identity_token" || field.name() == "registry_token";
}

void Redact(Message& message);

// Of a map from names to texts.
void RedactEntry(Message& entry) {
  const Reflection& reflection = *entry.GetReflection();
  const FieldDescriptor* key = entry.GetDescriptor()->map_key();
  const FieldDescriptor* value = entry.GetDescriptor()->map_value();
  if (key->cpp_type() != FieldDescriptor::CPPTYPE_STRING ||
      value->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
    return;
  }
  if (reflection.GetString(entry, key) != kLastApplied) return;
  reflection.SetString(&entry, value, kRedacted);
}

void RedactMessages(Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated()) {
    Redact(*reflection.MutableMessage(&message, &field));
    return;
  }
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    Message& element = *reflection.MutableRepeatedMessage(&message, &field, i);
    if (field.is_map()) {
      RedactEntry(element);
    } else {
      Redact(element);
    }
  }
}

void Redact(Message& message) {
  const Reflection& reflection = *message.GetReflection();
  // A newer client's fields may be secrets as well.
  reflection.MutableUnknownFields(&message)->Clear();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      RedactMessages(message, *field);
    } else if (IsSecret(*field)) {
      reflection.SetString(&message, field, kRedacted);
    }
  }
}

}  // namespace

std::string Redacted(const Message& message) {
  const std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  Redact(*copy);
  return copy->ShortDebugString();
}

void LogRequest(const char* method, const Message& request) {
  if (LogsDebug()) spdlog::debug("{} asks: {}", method, Redacted(request));
}

}  // namespace serai::cri
