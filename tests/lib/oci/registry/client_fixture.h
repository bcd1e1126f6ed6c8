// SPDX-License-Identifier: Apache-2.0
#pragma once

// A client, and a registry that answers as each test says.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/file.h"
#include "lib/oci/registry/client.h"
#include "tests/support/http_server.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::oci {

using testing::HttpServer;
using testing::HttpServerRequest;
using Reply = HttpServer::Reply;

inline constexpr char kContent[] = "the content of a blob";

class ClientTest : public ::testing::Test {
 protected:
  ClientTest()
      : server_([this](const HttpServerRequest& request, Reply& reply) {
          answer_(request, reply);
        }) {
    options_.first_wait = absl::Milliseconds(1);
  }

  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(Layout layout, Layout::Create(dir_ / "layout"));
    layout_ = layout;
  }

  // Of image "a/b:1" there.
  std::unique_ptr<RegistryClient> Client(Credentials credentials = {}) {
    auto reference = Reference::Parse(absl::StrCat(server_.host(), "/a/b:1"));
    EXPECT_OK(reference);
    auto client =
        RegistryClient::Create(*reference, credentials, options_,
                               RegistryClient::Access::kPull, nullptr);
    EXPECT_OK(client);
    return *std::move(client);
  }

  absl::Status GetManifest(const Digest& digest = {}) {
    return Client()->GetManifest("1", digest).status();
  }

  absl::Status GetBlob(Credentials credentials = {}) {
    Descriptor blob;
    blob.digest = DigestOf(kContent);
    blob.size = sizeof kContent - 1;
    auto writer = layout_->StartBlob(blob.digest, blob.size);
    EXPECT_OK(writer);
    return Client(std::move(credentials))->GetBlob(blob, *writer);
  }

  void Answer(int status, std::string body, std::string headers = "") {
    answer_ = [=](const HttpServerRequest&, Reply& reply) {
      reply.Answer(status, body, headers);
    };
  }

  void TearDown() override {
    // Whatever happened, no half blob remains.
    ASSERT_OK_AND_ASSIGN(const auto files,
                         ListDir(layout_->directory() + "/blobs/sha256"));
    for (const std::string& name : files) EXPECT_EQ(name.size(), 64u) << name;
  }

  testing::TempDir dir_;
  std::optional<Layout> layout_;
  RegistryOptions options_;
  std::atomic<bool> done_ = false;  // ends handlers that stall
  std::function<void(const HttpServerRequest&, Reply&)> answer_;
  HttpServer server_;
};

}  // namespace serai::oci
