// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/passthrough/fake_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace serai::testing {
namespace {

constexpr int kMaxMessageBytes = 16 << 20;

std::string String(grpc::string_ref text) {
  return std::string(text.data(), text.size());
}

}  // namespace

grpc::ByteBuffer BufferOf(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// Reads all that comes, answers at the half-close.
class FakeServer::Call final : public grpc::ServerGenericBidiReactor {
 public:
  Call(FakeServer& server, grpc::GenericCallbackServerContext& context,
       Reply reply)
      : server_(server), context_(context), reply_(std::move(reply)) {
    received_.method = context.method();
    received_.deadline = context.deadline();
    for (const auto& [key, value] : context.client_metadata()) {
      received_.metadata.emplace(String(key), String(value));
    }
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      received_.messages.push_back(BytesOf(message_));
      return StartRead(&message_);
    }
    for (const auto& [key, value] : reply_.initial) {
      context_.AddInitialMetadata(key, value);
    }
    for (const auto& [key, value] : reply_.trailing) {
      context_.AddTrailingMetadata(key, value);
    }
    WriteNext();
  }

  void OnWriteDone(bool ok) override {
    if (!ok) next_ = reply_.messages.size();
    {
      absl::MutexLock lock(&server_.mutex_);
      if (ok) ++server_.written_;
    }
    WriteNext();
  }

  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    received_.cancelled = true;
    if (holding_) End();
  }

  void OnDone() override {
    {
      absl::MutexLock lock(&server_.mutex_);
      if (reply_.hold) --server_.held_;
      server_.received_.push_back(received_);
    }
    delete this;
  }

 private:
  void WriteNext() {
    if (next_ < reply_.messages.size()) {
      answer_ = BufferOf(reply_.messages[next_++]);
      return StartWrite(&answer_);
    }
    if (!reply_.hold) return Finish(reply_.status);
    absl::MutexLock lock(&mutex_);
    holding_ = true;
    {
      absl::MutexLock server_lock(&server_.mutex_);
      ++server_.held_;
    }
    if (received_.cancelled) End();
  }

  void End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!ended_) Finish(grpc::Status(grpc::StatusCode::CANCELLED, ""));
    ended_ = true;
  }

  FakeServer& server_;
  grpc::GenericCallbackServerContext& context_;
  const Reply reply_;
  Received received_;
  grpc::ByteBuffer message_;
  grpc::ByteBuffer answer_;
  size_t next_ = 0;
  absl::Mutex mutex_;
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

class FakeServer::Service final : public grpc::CallbackGenericService {
 public:
  explicit Service(FakeServer& server) : server_(server) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    Reply reply;
    reply.status = grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "not known");
    absl::MutexLock lock(&server_.mutex_);
    const auto found = server_.replies_.find(context->method());
    if (found != server_.replies_.end()) reply = found->second;
    return new Call(server_, *context, std::move(reply));
  }

 private:
  FakeServer& server_;
};

void FakeServer::Start() {
  service_ = std::make_unique<Service>(*this);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(absl::StrCat("unix:", socket_),
                           grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.RegisterCallbackGenericService(service_.get());
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
}

void FakeServer::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_ = nullptr;
}

void FakeServer::On(const std::string& method, Reply reply) {
  absl::MutexLock lock(&mutex_);
  replies_[method] = std::move(reply);
}

std::vector<Received> FakeServer::received() const {
  absl::MutexLock lock(&mutex_);
  return received_;
}

int FakeServer::written() const {
  absl::MutexLock lock(&mutex_);
  return written_;
}

bool FakeServer::WaitFor(size_t calls, absl::Duration patience) const {
  absl::MutexLock lock(&mutex_);
  const auto there = [&] {
    mutex_.AssertReaderHeld();
    return received_.size() >= calls;
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&there), patience);
}

bool FakeServer::WaitForHeld(int calls) const {
  absl::MutexLock lock(&mutex_);
  const auto there = [&] {
    mutex_.AssertReaderHeld();
    return held_ >= calls;
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&there), absl::Seconds(20));
}

}  // namespace serai::testing
