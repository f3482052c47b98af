export interface BuildRequest {
  /** The new template. */
  readonly name: string;
  /** Default: date and time. */
  readonly version?: string;
  /** An image (absolute path), a template (NAME or NAME:VERSION), or the first disk of a VM that is off. */
  readonly from: { readonly image: string } | { readonly template: string } | { readonly prefix: string; readonly vm: string };
  /** Folder of the repository; created, with a repo.json, if it does not exist. */
  readonly folder: string;
  /** File with steps in the format of `build` in an init file. */
  readonly customizeFile?: string;
  /** Scripts (absolute paths) to run inside after these steps. */
  readonly run: readonly string[];
  /** Finally removes keys, logs and the like with virt-sysprep. */
  readonly sysprep: boolean;
  readonly compress: boolean;
}

export interface BuiltTemplate {
  /** The JSON file that lists it. */
  readonly repository: string;
  readonly name: string;
  readonly version: string;
  readonly image: string;
  readonly bytes: number;
}
