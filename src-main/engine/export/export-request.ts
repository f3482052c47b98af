export interface ExportRequest {
  /** The VMs; none means all. */
  readonly vms?: readonly string[];
  /** Destination folder; created if it does not exist. */
  readonly destination: string;
  /** Merges each disk with its backing chain; otherwise a disk on a template stays a layer. */
  readonly standalone: boolean;
  /** Compresses the disks with xz. */
  readonly compress: boolean;
  /** Default: from the settings. */
  readonly initFileName?: string;
  /** Format of the init file; default YAML. */
  readonly format?: 'yaml' | 'json';
}

export interface ExportResult {
  readonly folder: string;
  readonly initFile: string;
  readonly vms: readonly string[];
  /** Size of all disks as written. */
  readonly bytes: number;
}
