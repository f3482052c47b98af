export interface ElectronRuntime {
  readonly dist: string;
  readonly version: string;
}
export function presentRuntime(): ElectronRuntime | undefined;
export function ensureRuntime(): Promise<ElectronRuntime>;
export function electronArgv(dist: string): string[];
