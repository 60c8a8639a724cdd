import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import elementPlus from 'unplugin-element-plus/vite'
import { defineConfig } from 'vite'

/** Where `npm run dev` finds the API: what `make run` started. */
const api = process.env.ROADWARDEN_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [vue(), elementPlus({})],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  // MapLibre's worker is an ES module of its own; built as anything else it does not load.
  worker: { format: 'es' },
  build: {
    outDir: '../src/api/console',
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 1200,
    rolldownOptions: {
      checks: { pluginTimings: false },
      output: {
        codeSplitting: {
          groups: [
            { name: 'maplibre', test: /node_modules\/(maplibre-gl|@maplibre|@mapbox)\// },
            { name: 'element-plus', test: /node_modules\/(element-plus|@element-plus|@floating-ui|@vueuse|lodash|dayjs|async-validator)/ },
            { name: 'vue', test: /node_modules\/(vue|@vue|vue-router)\// },
          ],
        },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': { target: api, ws: true },
      '/readyz': { target: api },
      '/livez': { target: api },
    },
  },
})
