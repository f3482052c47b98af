export interface SnapshotExportRequest {
  /** Name of the snapshot. */
  readonly snapshot: string;
  /** The folder to be made, absolute: not there yet, or empty. */
  readonly destination: string;
}

export interface SnapshotExportResult {
  readonly folder: string;
  readonly snapshot: string;
  readonly vms: readonly string[];
  /** Space that the folder takes. */
  readonly bytes: number;
}

export interface ResumeRequest {
  /** A folder that an export of a snapshot wrote. */
  readonly folder: string;
  readonly workdir: string;
  /** Name of the new prefix inside the workdir. */
  readonly name: string;
  readonly setCurrent?: boolean | undefined;
}
