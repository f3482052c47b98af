// Lets plain Node run a TypeScript file of this project: node --import ./scripts/typescript.mjs FILE.ts
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
