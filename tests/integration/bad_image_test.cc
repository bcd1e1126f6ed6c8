// SPDX-License-Identifier: Apache-2.0
// Images that can't be run, and unikernels that can't be run as the pod says:
// CreateContainer says so, and the pod is as it was.
#include <elf.h>

#include <cstring>
#include <functional>
#include <ostream>

#include "lib/base/file.h"
#include "lib/solo5/abi.h"
#include "tests/integration/bad_input.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string GuestBytes(const std::string& name) {
  const auto bytes =
      ReadFile(JoinPath(JoinPath(BuildDir(), "guests"), name), 64 << 20);
  EXPECT_OK(bytes);
  return bytes.value_or("");
}

template <typename T>
T ReadAt(const std::string& file, size_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

template <typename T>
void WriteAt(std::string& file, size_t offset, T value) {
  std::memcpy(file.data() + offset, &value, sizeof(T));
}

// Where the program header of the note of `type` is in a built guest.
size_t HeaderOfNote(const std::string& file, uint32_t type) {
  const auto elf = ReadAt<Elf64_Ehdr>(file, 0);
  for (size_t i = 0; i < elf.e_phnum; ++i) {
    const size_t at = elf.e_phoff + i * sizeof(Elf64_Phdr);
    const auto header = ReadAt<Elf64_Phdr>(file, at);
    if (header.p_type == PT_NOTE &&
        ReadAt<Elf64_Nhdr>(file, header.p_offset).n_type == type) {
      return at;
    }
  }
  ADD_FAILURE() << "no such note";
  return 0;
}

size_t NoteOf(const std::string& file, uint32_t type) {
  return ReadAt<Elf64_Phdr>(file, HeaderOfNote(file, type)).p_offset;
}
size_t AbiOf(const std::string& file) {
  return NoteOf(file, solo5::kAbiNoteType) + solo5::kAbiNoteContentOffset;
}
size_t ManifestOf(const std::string& file) {
  return NoteOf(file, solo5::kManifestNoteType) +
         solo5::kManifestNoteContentOffset;
}
size_t FirstDeviceOf(const std::string& file) {
  return ManifestOf(file) + solo5::ManifestSize(1);
}
void SaySize(std::string& file, uint32_t type, uint32_t size) {
  WriteAt(file, NoteOf(file, type) + offsetof(Elf64_Nhdr, n_descsz), size);
}

class BadImageTest : public BadInputTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(BadInputTest::SetUp());
    if (IsSkipped()) return;
    ASSERT_NO_FATAL_FAILURE(StartNode());
    ASSERT_OK_AND_ASSIGN(pod_, node_->RunPod("pod"));
  }

  // An image whose entrypoint is `/app` with these bytes.
  absl::StatusOr<std::string> LoadUnikernel(const std::string& bytes) {
    ImageBuilder image;
    image.AddLayer({{"app", bytes, AE_IFREG, 0755}});
    image.config().entrypoint = {"/app"};
    return Load("app", image);
  }

  // CreateContainer fails with `message` and leaves nothing.
  void ExpectRefused(const cri::ContainerConfig& config, absl::StatusCode code,
                     const std::vector<std::string>& messages) {
    Mark();
    const auto created = node_->Create(pod_, config);
    for (const std::string& message : messages) {
      EXPECT_THAT(created, HasStatus(code, message));
    }
    ExpectNothingNew();
    EXPECT_TRUE(node_->Containers().empty());
  }
  void ExpectRefused(const std::string& image, absl::StatusCode code,
                     const std::vector<std::string>& messages) {
    ExpectRefused(node_->ContainerConfig(image, {}), code, messages);
  }

  std::string pod_;
};

TEST_F(BadImageTest, AnImageThatIsNotHereIsNotFound) {
  ExpectRefused("localhost/nobody:1", absl::StatusCode::kNotFound,
                {"localhost/nobody:1"});
  ExpectRefused("sha256:" + std::string(64, 'a'), absl::StatusCode::kNotFound,
                {std::string(64, 'a')});
  ExpectRefused("No Such Image", kInvalid, {"No Such Image"});
}

TEST_F(BadImageTest, AnImageWithNoUnikernelSaysWhatWasLookedFor) {
  ImageBuilder image;
  image.AddLayer({{"etc/motd", "hello"}, {"bin/sh", "#!/bin/false", AE_IFREG}});
  image.config().entrypoint = {"/bin/sh"};
  ASSERT_OK_AND_ASSIGN(const std::string id, Load("shell", image));
  ExpectRefused(id, kInvalid,
                {"no unikernel in the image", "serai.dev/unikernel",
                 "dev.serai.unikernel", "com.urunc.unikernel.binary",
                 "its entrypoint /bin/sh is none", "none of its 2 files"});

  auto config = node_->ContainerConfig(id, {});
  config.add_command("/opt/app.hvt");
  ExpectRefused(config, kInvalid,
                {"the container's command names /opt/app.hvt"});
}

TEST_F(BadImageTest, AnEmptyImageHasNoUnikernelEither) {
  ASSERT_OK_AND_ASSIGN(const std::string id, Load("empty", ImageBuilder()));
  ExpectRefused(id, kInvalid, {"no unikernel in the image"});
}

TEST_F(BadImageTest, ADeviceWithNothingToAttachIsNamed) {
  ASSERT_OK_AND_ASSIGN(const std::string nets,
                       node_->LoadGuests("twonets", {"twonets.spt"}));
  ExpectRefused(nets, kInvalid,
                {"device \"management\" has nothing to attach",
                 "service (NET_BASIC), management (NET_BASIC)",
                 "no interface left for it (eth0)"});

  ASSERT_OK_AND_ASSIGN(const std::string block,
                       node_->LoadGuests("block", {"block.spt"}));
  ExpectRefused(block, kInvalid,
                {"device \"storage\" has nothing to attach",
                 "storage (BLOCK_BASIC)", "devicePath", "\"/storage\""});

  auto config = node_->ContainerConfig(block, {});
  cri::Device* device = config.add_devices();
  device->set_container_path("/dev/storage");
  device->set_host_path("/nowhere/disk.img");
  device->set_permissions("rw");
  ExpectRefused(config, kInvalid, {"\"storage\"", "/nowhere/disk.img"});
  device->set_host_path(node_->directory());
  ExpectRefused(config, kInvalid,
                {"\"storage\"", node_->directory(), "has several files"});
}

class MemoryLimitTest : public BadImageTest,
                        public ::testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Targets, MemoryLimitTest,
                         ::testing::Values("hvt", "spt"), [](const auto& test) {
                           return std::string(test.param);
                         });

TEST_P(MemoryLimitTest, BelowTheGuestsFloorSaysTheFloor) {
  const std::string target = GetParam();
  if (target == "hvt") SERAI_NEED("kvm");
  ASSERT_OK_AND_ASSIGN(const std::string id,
                       node_->LoadGuests("hello", {"hello." + target}));
  auto config = node_->ContainerConfig(id, {});
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(
      int64_t{1} << 20);
  ExpectRefused(config, kInvalid,
                {"the memory limit of 1048576 bytes is below", "2Mi"});
}

TEST_F(BadImageTest, ALimitAboveWhatAGuestCanHaveSaysHowMuch) {
  SERAI_NEED("kvm");
  ASSERT_OK_AND_ASSIGN(const std::string id,
                       node_->LoadGuests("hello", {"hello.hvt"}));
  auto config = node_->ContainerConfig(id, {});
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(
      int64_t{8} << 30);
  ExpectRefused(
      config, kInvalid,
      {"8589934592 bytes is above what an hvt unikernel can have", "4096Mi"});
}

TEST_F(BadImageTest, ADeviceOfAnUnknownTypeIsNamed) {
  std::string bytes = GuestBytes("web.spt");
  WriteAt<uint32_t>(
      bytes, FirstDeviceOf(bytes) + offsetof(solo5::ManifestEntry, type), 99);
  ASSERT_OK_AND_ASSIGN(const std::string id, LoadUnikernel(bytes));
  ExpectRefused(id, kInvalid, {"\"service\"", "its type is not known"});
}

struct Damage {
  const char* name;
  const char* message;
  std::function<void(std::string&)> how;
};

void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.name; }

class DamagedUnikernelTest : public BadImageTest,
                             public ::testing::WithParamInterface<Damage> {};

TEST_P(DamagedUnikernelTest, IsRefusedWithTheReason) {
  std::string bytes = GuestBytes("web.spt");
  GetParam().how(bytes);
  ASSERT_OK_AND_ASSIGN(const std::string id, LoadUnikernel(bytes));
  ExpectRefused(id, kInvalid, {"/app: ", GetParam().message});

  // Also when only the search finds it.
  ImageBuilder image;
  image.AddLayer({{"lib/app", bytes, AE_IFREG, 0755}});
  ASSERT_OK_AND_ASSIGN(const std::string found, Load("found", image));
  ExpectRefused(found, kInvalid, {"/lib/app: ", GetParam().message});
}

const Damage kDamages[] = {
    {"OtherTarget", "target is virtio (3); hvt or spt is needed",
     [](std::string& f) { WriteAt<uint32_t>(f, AbiOf(f), 3); }},
    {"NoTarget", "target is unknown (77)",
     [](std::string& f) { WriteAt<uint32_t>(f, AbiOf(f), 77); }},
    {"NewerAbi", "unsupported ABI version 3 of spt",
     [](std::string& f) { WriteAt<uint32_t>(f, AbiOf(f) + 4, 3); }},
    {"OtherMachine", "built for aarch64, this node is x86_64",
     [](std::string& f) {
       WriteAt<uint16_t>(f, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
     }},
    {"TruncatedFile", "truncated: the ABI note needs 16 bytes",
     [](std::string& f) { f.resize(AbiOf(f) + 8); }},
    {"TruncatedAbi", "ABI note does not fall within valid size: says 4 bytes",
     [](std::string& f) { SaySize(f, solo5::kAbiNoteType, 4); }},
    {"TruncatedManifest",
     "manifest note does not fall within valid size: says 8 bytes",
     [](std::string& f) { SaySize(f, solo5::kManifestNoteType, 8); }},
    {"ManifestPastTheEnd", "truncated: the manifest note needs",
     [](std::string& f) {
       // The note's beginning once more, where the file ends.
       const size_t header = HeaderOfNote(f, solo5::kManifestNoteType);
       const std::string start = f.substr(NoteOf(f, solo5::kManifestNoteType),
                                          solo5::kManifestNoteContentOffset);
       WriteAt<uint64_t>(f, header + offsetof(Elf64_Phdr, p_offset), f.size());
       f += start;
     }},
    {"OversizedAbi",
     "ABI note does not fall within valid size: says 4294967295 bytes",
     [](std::string& f) { SaySize(f, solo5::kAbiNoteType, UINT32_MAX); }},
    {"OversizedManifest",
     "manifest note does not fall within valid size: says 65536 bytes",
     [](std::string& f) { SaySize(f, solo5::kManifestNoteType, 65536); }},
    {"LongerThanItsSegment", "manifest note does not fall within valid size",
     [](std::string& f) { SaySize(f, solo5::kManifestNoteType, 6000); }},
    {"MoreDevicesThanThere", "manifest: 3 entries need",
     [](std::string& f) { WriteAt<uint32_t>(f, ManifestOf(f) + 4, 3); }},
    {"NoDevicesAtAll", "manifest: says 0 entries",
     [](std::string& f) { WriteAt<uint32_t>(f, ManifestOf(f) + 4, 0); }},
    {"CountBeyondAll", "manifest: says 4294967295 entries",
     [](std::string& f) { WriteAt(f, ManifestOf(f) + 4, UINT32_MAX); }},
    {"OtherManifestVersion", "manifest version 9 is unknown",
     [](std::string& f) { WriteAt<uint32_t>(f, ManifestOf(f), 9); }},
    {"NameThatIsNone", "the name of device 1 must be letters and digits",
     [](std::string& f) {
       f[FirstDeviceOf(f) + offsetof(solo5::ManifestEntry, name)] = '/';
     }},
};

INSTANTIATE_TEST_SUITE_P(All, DamagedUnikernelTest,
                         ::testing::ValuesIn(kDamages), [](const auto& test) {
                           return std::string(test.param.name);
                         });

}  // namespace
}  // namespace serai::testing
