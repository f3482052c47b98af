export interface BuildRequest {
  /** The new template. */
  readonly name: string;
  /** Default: date and time. */
  readonly version?: string;
  /** An image (absolute path), a template (NAME or NAME:VERSION), or the first disk of a VM that is off. */
  readonly from: { readonly image: string } | { readonly template: string } | { readonly prefix: string; readonly vm: string };
  /** Folder of the repository; it is made, with a repo.json, when there is none. */
  readonly folder: string;
  /** File with steps as they stand below `build` in an init file. */
  readonly customizeFile?: string;
  /** Scripts (absolute paths) that are run inside after these steps. */
  readonly run: readonly string[];
  /** Takes keys, logs and the like away by virt-sysprep in the end. */
  readonly sysprep: boolean;
  readonly compress: boolean;
}

export interface BuiltTemplate {
  /** The JSON that announces it. */
  readonly repository: string;
  readonly name: string;
  readonly version: string;
  readonly image: string;
  readonly bytes: number;
}
