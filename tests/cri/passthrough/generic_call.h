// SPDX-License-Identifier: Apache-2.0
#pragma once

// A client's side of a call of any method, as bytes.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/cri/passthrough/fake_server.h"

namespace serai::testing {

struct Outcome {
  grpc::Status status;
  std::vector<std::string> messages;
  Metadata initial;
  Metadata trailing;
};

class GenericCall {
 public:
  GenericCall(const std::shared_ptr<grpc::Channel>& channel,
              const std::string& method, const Metadata& metadata = {})
      : stub_(channel) {
    for (const auto& [key, value] : metadata) context_.AddMetadata(key, value);
    context_.set_deadline(std::chrono::system_clock::now() +
                          std::chrono::seconds(60));
    stream_ = stub_.PrepareCall(&context_, method, &queue_);
    stream_->StartCall(this);
    Next();
  }
  ~GenericCall() {
    queue_.Shutdown();
    while (Next()) {
    }
  }
  GenericCall(const GenericCall&) = delete;
  GenericCall& operator=(const GenericCall&) = delete;

  grpc::ClientContext& context() { return context_; }

  bool Write(const std::string& message) {
    stream_->Write(BufferOf(message), this);
    return Next();
  }
  void WritesDone() {
    stream_->WritesDone(this);
    Next();
  }
  // Whether it comes within a while.
  bool ReadInitialMetadata() {
    stream_->ReadInitialMetadata(this);
    void* tag = nullptr;
    bool ok = false;
    const auto patience =
        std::chrono::system_clock::now() + std::chrono::seconds(10);
    return queue_.AsyncNext(&tag, &ok, patience) ==
               grpc::CompletionQueue::GOT_EVENT &&
           ok;
  }
  // False at the end.
  bool Read(std::string& message) {
    grpc::ByteBuffer buffer;
    stream_->Read(&buffer, this);
    if (!Next()) return false;
    message = BytesOf(buffer);
    return true;
  }
  // What is left of it.
  Outcome Finish() {
    Outcome outcome;
    std::string message;
    while (Read(message)) outcome.messages.push_back(message);
    stream_->Finish(&outcome.status, this);
    Next();
    for (const auto& [key, value] : context_.GetServerInitialMetadata()) {
      outcome.initial.emplace(std::string(key.data(), key.size()),
                              std::string(value.data(), value.size()));
    }
    for (const auto& [key, value] : context_.GetServerTrailingMetadata()) {
      outcome.trailing.emplace(std::string(key.data(), key.size()),
                               std::string(value.data(), value.size()));
    }
    return outcome;
  }
  // Sends these messages, and no more.
  Outcome Exchange(const std::vector<std::string>& requests) {
    for (const std::string& request : requests) {
      if (!Write(request)) break;
    }
    WritesDone();
    return Finish();
  }

 private:
  bool Next() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

}  // namespace serai::testing
