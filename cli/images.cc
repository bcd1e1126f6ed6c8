// SPDX-License-Identifier: Apache-2.0
// serai images, pull, rmi and load: the daemon's image store.

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <istream>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pull_display.h"
#include "lib/base/file.h"

namespace serai::cli {
namespace {

using nlohmann::json;

struct ImageOptions {
  std::string image;
  std::string user;
  bool password_stdin = false;
  std::string archive;
  std::string name;
};

template <typename Strings>
json StringArray(const Strings& strings) {
  return json(std::vector<std::string>(strings.begin(), strings.end()));
}

absl::StatusOr<int> Images(Invocation& invocation) {
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  ASSIGN_OR_RETURN(const auto list, client->ListImages({}), "listing images");
  json array = json::array();
  Table table({"IMAGE", "ID", "SIZE"});
  for (const auto& image : list.images()) {
    array.push_back({{"id", image.id()},
                     {"repo_tags", StringArray(image.repo_tags())},
                     {"repo_digests", StringArray(image.repo_digests())},
                     {"size", image.size()}});
    const std::string size = HumanBytes(image.size());
    for (const auto& tag : image.repo_tags()) {
      table.Add({tag, ShortImageId(image.id()), size});
    }
    if (image.repo_tags().empty()) {
      const auto& digests = image.repo_digests();
      table.Add(
          {digests.empty() ? "" : digests[0], ShortImageId(image.id()), size});
    }
  }
  if (invocation.json()) {
    PrintJson(invocation.out, array);
  } else {
    table.Print(invocation.out);
  }
  return 0;
}

// By the CRI, which says nothing until it is done.
absl::StatusOr<std::string> PullSilently(
    Client& client, const control::v1::PullImageRequest& told) {
  v1::PullImageRequest request;
  request.mutable_image()->set_image(told.reference());
  if (!told.username().empty()) {
    request.mutable_auth()->set_username(told.username());
    request.mutable_auth()->set_password(told.password());
  }
  ASSIGN_OR_RETURN(const auto pulled, client.PullImage(request));
  return pulled.image_ref();
}

absl::StatusOr<int> Pull(Invocation& invocation, const ImageOptions& options) {
  control::v1::PullImageRequest request;
  request.set_reference(options.image);
  if (!options.user.empty()) {
    request.set_username(options.user);
    ASSIGN_OR_RETURN(*request.mutable_password(), ReadPassword(invocation.in));
  }
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  PullDisplay display(invocation.err, invocation.err_is_terminal);
  absl::StatusOr<std::string> id = client->PullImageTold(
      request, [&](const control::v1::PullProgress& progress) {
        if (!invocation.json()) display.Show(progress);
      });
  if (absl::IsUnimplemented(id.status())) id = PullSilently(*client, request);
  RETURN_IF_ERROR(id.status(), "pulling ", options.image);
  if (invocation.json()) {
    PrintJson(invocation.out, {{"reference", options.image}, {"id", *id}});
  } else {
    invocation.out << Printable(*id) << '\n';
  }
  return 0;
}

absl::StatusOr<int> RemoveImage(Invocation& invocation,
                                const ImageOptions& options) {
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  v1::ImageStatusRequest status;
  status.mutable_image()->set_image(options.image);
  ASSIGN_OR_RETURN(const auto known, client->ImageStatus(status),
                   "looking for image ", options.image);
  // The CRI's call succeeds for any name; a person mistypes.
  if (!known.has_image()) {
    return absl::NotFoundError(
        absl::StrCat("there is no image \"", options.image, "\""));
  }
  v1::RemoveImageRequest request;
  request.mutable_image()->set_image(options.image);
  RETURN_IF_ERROR(client->RemoveImage(request).status(), "removing image ",
                  options.image);
  if (invocation.json()) {
    PrintJson(invocation.out,
              {{"reference", options.image}, {"id", known.image().id()}});
  } else {
    invocation.out << Printable(known.image().id()) << '\n';
  }
  return 0;
}

// Reads an archive in pieces, from a file or from standard input.
class ArchiveReader {
 public:
  absl::Status Open(const std::string& path, std::istream& standard_input) {
    if (path == "-") {
      stream_ = &standard_input;
      return absl::OkStatus();
    }
    // An archive that is not there must be told before anything is sent.
    file_ = std::make_unique<std::ifstream>(path, std::ios::binary);
    stream_ = file_.get();
    return OpenFile(path, O_RDONLY).status();
  }

  absl::StatusOr<std::string> Next() {
    constexpr size_t kPiece = 256 << 10;
    std::string piece(kPiece, '\0');
    stream_->read(piece.data(), static_cast<std::streamsize>(kPiece));
    if (stream_->bad()) return absl::DataLossError("reading the archive");
    piece.resize(static_cast<size_t>(stream_->gcount()));
    return piece;
  }

 private:
  std::unique_ptr<std::ifstream> file_;
  std::istream* stream_ = nullptr;
};

absl::StatusOr<int> Load(Invocation& invocation, const ImageOptions& options) {
  ArchiveReader reader;
  RETURN_IF_ERROR(reader.Open(options.archive, invocation.in));
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  ASSIGN_OR_RETURN(
      const auto loaded,
      client->LoadImage(options.name, [&reader] { return reader.Next(); }),
      "loading ", options.archive);
  json array = json::array();
  for (const auto& image : loaded.images()) {
    array.push_back(
        {{"id", image.id()}, {"repo_tags", StringArray(image.repo_tags())}});
  }
  if (invocation.json()) {
    PrintJson(invocation.out, array);
    return 0;
  }
  for (const auto& image : loaded.images()) {
    std::string line = ShortImageId(image.id());
    for (const auto& tag : image.repo_tags()) absl::StrAppend(&line, " ", tag);
    invocation.out << Printable(line) << '\n';
  }
  return 0;
}

using Handler = absl::StatusOr<int> (*)(Invocation&, const ImageOptions&);

void SetAction(CLI::App& command, Invocation& invocation,
               const std::shared_ptr<ImageOptions>& options, Handler handler) {
  AddOutputOption(command, invocation);
  AddSocketOption(command, invocation);
  command.callback([&invocation, options, handler] {
    invocation.action = [&invocation, options, handler] {
      return handler(invocation, *options);
    };
  });
}

}  // namespace

void AddImageCommands(CLI::App& app, Invocation& invocation) {
  const auto options = std::make_shared<ImageOptions>();

  CLI::App& load =
      *app.add_subcommand("load", "Give seraid an image from an archive");
  load.add_option("ARCHIVE", options->archive,
                  "a tar of an OCI layout, or of docker save; - reads standard "
                  "input")
      ->required();
  load.add_option("-t,--tag", options->name,
                  "name for an archive that has none inside")
      ->type_name("NAME[:TAG]");
  SetAction(load, invocation, options, Load);

  CLI::App& pull = *app.add_subcommand("pull", "Pull an image");
  pull.add_option("IMAGE", options->image, "its reference")->required();
  AddLoginOptions(pull, options->user, options->password_stdin);
  SetAction(pull, invocation, options, Pull);

  CLI::App& images = *app.add_subcommand("images", "List images");
  SetAction(images, invocation, options,
            [](Invocation& i, const ImageOptions&) { return Images(i); });

  CLI::App& rmi = *app.add_subcommand("rmi", "Remove an image");
  rmi.add_option("IMAGE", options->image, "its reference or id")->required();
  SetAction(rmi, invocation, options, RemoveImage);
}

}  // namespace serai::cli
