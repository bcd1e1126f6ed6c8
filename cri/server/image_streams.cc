// SPDX-License-Identifier: Apache-2.0
// The list of images as a stream of batches.
#include "cri/server/batch_writer.h"
#include "cri/server/convert.h"
#include "cri/server/edge.h"
#include "cri/server/image_service.h"

namespace serai::cri {

grpc::Status ImageService::StreamImages(
    grpc::ServerContext* context, const v1::StreamImagesRequest* request,
    grpc::ServerWriter<v1::StreamImagesResponse>* writer) {
  v1::ListImagesRequest whole;
  *whole.mutable_filter() = request->filter();
  v1::ListImagesResponse list;
  const grpc::Status listed = ListImages(context, &whole, &list);
  if (!listed.ok()) return listed;
  return Answer("StreamImages", request->filter().image().image(), [&] {
    BatchWriter<v1::StreamImagesResponse, v1::Image> batches(
        writer, &v1::StreamImagesResponse::mutable_images);
    for (v1::Image& image : *list.mutable_images()) {
      RETURN_IF_ERROR(batches.Add(std::move(image)));
    }
    return batches.Flush();
  });
}

}  // namespace serai::cri
