// SPDX-License-Identifier: Apache-2.0
#include "cri/server/batch_writer.h"

#include <string>
#include <vector>

#include "proto/cri/container.pb.h"
#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

namespace v1 = runtime::v1;

using ::serai::testing::HasStatus;
using ::testing::ElementsAre;

// Keeps the sizes of what is written.
class Sizes : public grpc::ServerWriterInterface<v1::StreamContainersResponse> {
 public:
  void SendInitialMetadata() override {}
  bool Write(const v1::StreamContainersResponse& response,
             grpc::WriteOptions) override {
    if (gone) return false;
    sizes.push_back(response.containers_size());
    return true;
  }

  std::vector<int> sizes;
  bool gone = false;
};

class BatchWriterTest : public ::testing::Test {
 protected:
  static v1::Container Sized(size_t bytes) {
    v1::Container container;
    container.set_id(std::string(bytes, 'x'));
    return container;
  }

  Sizes out_;
  BatchWriter<v1::StreamContainersResponse, v1::Container> writer_{
      &out_, &v1::StreamContainersResponse::mutable_containers};
};

TEST_F(BatchWriterTest, AnEmptyListIsAStreamOfNothing) {
  EXPECT_OK(writer_.Flush());
  EXPECT_THAT(out_.sizes, ElementsAre());
}

TEST_F(BatchWriterTest, ALongListIsSeveralBatches) {
  for (int i = 0; i < 600; ++i) ASSERT_OK(writer_.Add(Sized(10)));
  EXPECT_OK(writer_.Flush());
  EXPECT_THAT(out_.sizes, ElementsAre(256, 256, 88));
}

TEST_F(BatchWriterTest, LargeItemsAreFewInABatch) {
  for (int i = 0; i < 5; ++i) ASSERT_OK(writer_.Add(Sized(400 << 10)));
  ASSERT_OK(writer_.Add(Sized(3 << 20)));
  ASSERT_OK(writer_.Add(Sized(1)));
  EXPECT_OK(writer_.Flush());
  EXPECT_THAT(out_.sizes, ElementsAre(2, 2, 1, 1, 1));
}

TEST_F(BatchWriterTest, NothingMoreIsMadeForAClientThatIsGone) {
  ASSERT_OK(writer_.Add(Sized(1)));
  out_.gone = true;
  EXPECT_THAT(writer_.Flush(),
              HasStatus(absl::StatusCode::kCancelled, "does not read"));
}

}  // namespace
}  // namespace serai::cri
