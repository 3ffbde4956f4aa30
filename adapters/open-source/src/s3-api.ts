/** The slice of Amazon's S3 client that the store uses, with the names of the S3 API. */
export interface S3Api {
  putObject(
    request: S3Key & { Body: Uint8Array; ContentLength: number; IfNoneMatch?: string },
    options: S3Call,
  ): Promise<unknown>;
  getObject(
    request: S3Key & { Range?: string; IfMatch?: string },
    options: S3Call,
  ): Promise<{ ETag?: string | undefined; Body?: AsyncIterable<Uint8Array> | undefined }>;
  headObject(request: S3Key, options: S3Call): Promise<{ ContentLength?: number | undefined }>;
  deleteObject(request: S3Key, options: S3Call): Promise<unknown>;
  listObjectsV2(
    request: { Bucket: string; Prefix: string; StartAfter?: string; MaxKeys: number },
    options: S3Call,
  ): Promise<{ Contents?: { Key?: string | undefined }[] | undefined; IsTruncated?: boolean | undefined }>;
  createMultipartUpload(request: S3Key, options: S3Call): Promise<{ UploadId?: string | undefined }>;
  uploadPart(
    request: S3Key & { UploadId: string; PartNumber: number; Body: Uint8Array; ContentLength: number },
    options: S3Call,
  ): Promise<{ ETag?: string | undefined }>;
  completeMultipartUpload(
    request: S3Key & { UploadId: string; MultipartUpload: { Parts: S3Part[] }; IfNoneMatch?: string },
    options: S3Call,
  ): Promise<unknown>;
  abortMultipartUpload(request: S3Key & { UploadId: string }): Promise<unknown>;
  /** `ChecksumSHA256` is base64, and travels as the header `x-amz-checksum-sha256`. */
  presign(method: "GET" | "PUT", request: S3Key & { ChecksumSHA256?: string }, expiresSeconds: number): Promise<string>;
}

export interface S3Key {
  Bucket: string;
  Key: string;
}

export interface S3Part {
  PartNumber: number;
  ETag: string;
}

export interface S3Call {
  abortSignal?: AbortSignal;
}
