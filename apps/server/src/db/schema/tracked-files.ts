/** Tables of files that MLflow clients logged, as Kysely sees them; the migrations say what they mean. */

export interface TrackedFilesTable {
  project_id: string;
  path: string;
  digest: string;
  size: number;
  created_by: string;
  created_at: number;
}

export interface FileUploadsTable {
  project_id: string;
  upload_id: string;
  path: string;
  parts: number;
  created_by: string;
  created_at: number;
  completed_at: number | null;
}

export interface FileUploadPartsTable {
  project_id: string;
  upload_id: string;
  number: number;
  digest: string;
  size: number;
}
