// SPDX-License-Identifier: Apache-2.0
// Pulls under a policy that wants signatures, which openssl(1) makes as cosign
// does.
#include "absl/strings/escaping.h"
#include "lib/base/subprocess.h"
#include "tests/cri/image/pull_test.h"

namespace serai::cri {
namespace {

using ::serai::testing::HasStatus;
using ::testing::SizeIs;

constexpr auto kRefused = absl::StatusCode::kPermissionDenied;

class SignatureTest : public PullTest {
 protected:
  void SetUp() override {
    PullTest::SetUp();
    MakeKey("ours");
    options_.signatures = {{server_.host() + "/team/*"}, {Path("ours.pub")}};
  }

  std::string Path(const std::string& name) const { return dir_ / name; }

  std::string OpenSsl(const std::vector<std::string>& args) {
    SubprocessSpec spec;
    spec.program = "/usr/bin/openssl";
    spec.args = args;
    const auto result = RunSubprocess(spec);
    EXPECT_OK(result);
    EXPECT_EQ(result->exit_code, 0) << result->error_output;
    return result->output;
  }

  void MakeKey(const std::string& name,
               const std::vector<std::string>& kind = {
                   "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}) {
    std::vector<std::string> args = {"genpkey", "-out", Path(name + ".key")};
    args.insert(args.end(), kind.begin(), kind.end());
    OpenSsl(args);
    OpenSsl({"pkey", "-in", Path(name + ".key"), "-pubout", "-out",
             Path(name + ".pub")});
  }

  // A signature of `payload` by a key.
  oci::Descriptor Sign(const std::string& payload, const std::string& key,
                       bool digests = true) {
    EXPECT_OK(WriteFileAtomic(Path("payload"), payload));
    const std::string signature =
        digests ? OpenSsl({"dgst", "-sha256", "-sign", Path(key + ".key"),
                           Path("payload")})
                : OpenSsl({"pkeyutl", "-sign", "-rawin", "-inkey",
                           Path(key + ".key"), "-in", Path("payload")});
    oci::Descriptor layer =
        *made_.layout().WriteBlob(oci::kMediaTypeSimpleSigning, payload);
    layer.annotations[oci::kAnnotationSignature] =
        absl::Base64Escape(signature);
    return layer;
  }

  // Puts signatures beside the image, the oldest first.
  void Publish(std::vector<oci::Descriptor> signatures) {
    oci::Manifest manifest;
    ASSERT_OK_AND_ASSIGN(manifest.config,
                         made_.layout().WriteBlob(oci::kMediaTypeConfig, "{}"));
    manifest.layers = std::move(signatures);
    ASSERT_OK_AND_ASSIGN(const oci::Descriptor stored,
                         made_.layout().WriteBlob(oci::kMediaTypeManifest,
                                                  oci::ToJson(manifest)));
    tags_[oci::SignatureTag(top_.digest)] = stored.digest;
  }

  void Publish(const std::string& payload, const std::string& key,
               bool digests = true) {
    Publish({Sign(payload, key, digests)});
  }

  static std::string Payload(const oci::Digest& digest) {
    return absl::StrCat(
        R"({"critical":{"identity":{"docker-reference":"r.example/app"},)",
        R"("image":{"docker-manifest-digest":")", digest.ToString(),
        R"("},"type":"cosign container image signature"},"optional":null})");
  }

  void ExpectRefused(const std::string& why) {
    const auto image = PullTag();
    EXPECT_THAT(image, HasStatus(kRefused, why));
    EXPECT_TRUE(IsSignatureInvalid(image.status())) << image.status();
    ExpectNothingLeft();
  }
};

TEST_F(SignatureTest, SignedByTheKeyItIsLetIn) {
  Publish(Payload(top_.digest), "ours");
  ASSERT_OK(PullTag());
  // What was fetched to decide is not kept.
  EXPECT_THAT(*ListDir(dir_ / "store/images/blobs/sha256"), SizeIs(3));
}

TEST_F(SignatureTest, EveryKindOfKeyIsUnderstood) {
  MakeKey("rsa", {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"});
  MakeKey("ed", {"-algorithm", "ED25519"});
  options_.signatures.keys = {Path("rsa.pub"), Path("ed.pub")};
  for (const bool rsa : {true, false}) {
    Publish(Payload(top_.digest), rsa ? "rsa" : "ed", rsa);
    EXPECT_OK(PullTag());
  }
}

TEST_F(SignatureTest, UnsignedItIsRefused) {
  ExpectRefused("it is not signed");
  // By digest as well.
  EXPECT_THAT(Pull(Name() + "@" + top_.digest.ToString()),
              HasStatus(kRefused, "it is not signed"));
}

TEST_F(SignatureTest, SignedByAnotherOrForAnotherItIsRefused) {
  MakeKey("theirs");
  Publish(Payload(top_.digest), "theirs");
  ExpectRefused("signed by none of the keys");
  Publish(Payload(oci::DigestOf("another image")), "ours");
  ExpectRefused("another image's");
  Publish(R"({"critical":{"type":"something"}})", "ours");
  ExpectRefused("payload");
}

TEST_F(SignatureTest, WithoutAKeyNothingIsLetIn) {
  Publish(Payload(top_.digest), "ours");
  options_.signatures.keys = {Path("none.pub")};
  ExpectRefused("none.pub");
  puller_.reset();
  ASSERT_OK(WriteFileAtomic(Path("bad.pub"), "not a key"));
  options_.signatures.keys = {Path("bad.pub")};
  ExpectRefused("not a public key");
}

TEST_F(SignatureTest, OneGoodSignatureIsEnoughAmongOthers) {
  MakeKey("theirs");
  const oci::Descriptor good = Sign(Payload(top_.digest), "ours");
  const oci::Descriptor bad = Sign(Payload(top_.digest), "theirs");
  // One that the registry does not have.
  oci::Descriptor gone = bad;
  gone.digest = oci::DigestOf("gone");
  Publish({good, gone});
  ASSERT_OK(PullTag());
  ASSERT_OK(store_->Remove(Name() + ":1"));
  // However many there are, the newest are looked at.
  std::vector<oci::Descriptor> many(40, bad);
  many.push_back(good);
  many.push_back(bad);
  Publish(many);
  ASSERT_OK(PullTag());
  ASSERT_OK(store_->Remove(Name() + ":1"));
  // Without a good one, what could not be fetched is no bad signature.
  Publish({bad, gone, bad});
  const auto image = PullTag();
  EXPECT_THAT(image, HasStatus(absl::StatusCode::kNotFound, "404"));
  EXPECT_FALSE(IsSignatureInvalid(image.status()));
  many.assign(40, bad);
  many.insert(many.begin(), good);
  Publish(many);
  ExpectRefused("signed by none of the keys");
}

// Nothing is asked of a registry: each request is cancelled before it begins.
TEST_F(SignatureTest, AnotherSpellingOfTheNameDoesNotGetAroundThePolicy) {
  const auto asked = [&](const std::string& pattern, const std::string& name) {
    ImageStore::Lease lease = store_->AcquireLease();
    const oci::Reference reference = *oci::Reference::Parse(name);
    const auto client = oci::RegistryClient::Create(
        reference, {}, {}, oci::RegistryClient::Access::kPull,
        [] { return true; });
    return !CheckSignature({{pattern}, {}}, reference, top_.digest, lease,
                           store_->layout(), **client)
                .ok();
  };
  for (const char* name :
       {"registry.example/prod/app", "registry.example:443/prod/app:1",
        "Registry.Example/prod/app", "REGISTRY.example:0443/prod/app"}) {
    EXPECT_TRUE(asked("registry.example/prod/*", name)) << name;
    EXPECT_TRUE(asked("Registry.example:443/prod/app", name)) << name;
    EXPECT_FALSE(asked("registry.example/test/*", name)) << name;
  }
  for (const char* name :
       {"app", "docker.io/app", "index.docker.io/library/app",
        "registry-1.docker.io/library/app"}) {
    EXPECT_TRUE(asked("docker.io/library/*", name)) << name;
    EXPECT_TRUE(asked("docker.io/app", name)) << name;
    EXPECT_TRUE(asked("*", name)) << name;
  }
  EXPECT_TRUE(asked("docker.io/*", "registry-1.docker.io/team/app"));
  EXPECT_TRUE(asked("[::1]:5000/*", "[::1]:5000/app"));
  EXPECT_FALSE(asked("registry.example/*", "registry.example:5000/app"));
}

TEST_F(SignatureTest, OtherRepositoriesAreNotAsked) {
  options_.signatures.images = {"elsewhere.example/*"};
  EXPECT_OK(PullTag());
}

TEST_F(SignatureTest, ARegistryThatFailsIsNotABadSignature) {
  AnswerAt("sha256-", 500, "");
  const auto image = PullTag();
  EXPECT_THAT(image, HasStatus(absl::StatusCode::kUnavailable, "500"));
  EXPECT_FALSE(IsSignatureInvalid(image.status()));
  EXPECT_TRUE(IsRegistryUnavailable(image.status()));
}

}  // namespace
}  // namespace serai::cri
