export interface ExportRequest {
  /** The VMs; none means all. */
  readonly vms?: readonly string[];
  /** Folder that the files go to; made when it is not there. */
  readonly destination: string;
  /** Merges each disk with what it lies on; without it a disk on a template stays a layer. */
  readonly standalone: boolean;
  /** Compresses the disks by xz. */
  readonly compress: boolean;
  /** Default: as the settings say. */
  readonly initFileName?: string;
  /** Of the init file; default YAML. */
  readonly format?: 'yaml' | 'json';
}

export interface ExportResult {
  readonly folder: string;
  readonly initFile: string;
  readonly vms: readonly string[];
  /** Of all disks as they lie there. */
  readonly bytes: number;
}
