import { DemoEngine } from './demo-engine.ts';

// The bridge must exist before the page's own entry point runs.
const engine = new DemoEngine(new URLSearchParams(location.search).get('scenario') ?? 'demo');
Object.defineProperty(window, 'bridge', { value: engine.bridge() });
Object.defineProperty(window, 'demo', { value: engine });
await import('../main.tsx');
