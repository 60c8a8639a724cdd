import { createApp } from 'vue'
import 'element-plus/theme-chalk/base.css'
import 'element-plus/theme-chalk/dark/css-vars.css'
import './style.css'
import App from './App.vue'
import { router } from './router'
import { listenToKeyboard } from './seat/keyboard'
import { listenForMissingParts } from './seat/outdated'

listenToKeyboard()
listenForMissingParts()
createApp(App).use(router).mount('#app')
