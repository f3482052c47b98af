import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { EngineConnection } from './engine-client.ts';
import { keepLastKnown, readLastKnown } from './kept-state.ts';
import { applyConnection, applyLastKnown, applyLiveEvent, createLiveCache, readPrefixes } from './live-cache.ts';
import './mantine.css';
import './styles.css';
import { SCHEME_KEY, theme, tokenResolver } from './theme.ts';

const cache = createLiveCache();
applyLastKnown(cache, readLastKnown());
const keep = (): void => keepLastKnown(readPrefixes(cache));
window.addEventListener('pagehide', keep);
const connection = new EngineConnection(window.bridge, {
  onState: (state) => applyConnection(cache, state),
  onEvent: (event) => {
    applyLiveEvent(cache, event);
    if (event.type === 'prefixes' || event.type === 'prefix-gone') requestIdleCallback(keep);
  },
});
void connection.start();

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
createRoot(root).render(
  <MantineProvider
    theme={theme}
    cssVariablesResolver={tokenResolver}
    defaultColorScheme="auto"
    colorSchemeManager={localStorageColorSchemeManager({ key: SCHEME_KEY })}
  >
    <QueryClientProvider client={cache}>
      <App connection={connection} />
    </QueryClientProvider>
  </MantineProvider>,
);
