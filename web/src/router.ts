import { createRouter, createWebHistory } from 'vue-router'

export const router = createRouter({
  history: createWebHistory(),
  routes: [
    { path: '/', name: 'seat', component: () => import('@/pages/seat/SeatPage.vue') },
    { path: '/vehicles', name: 'vehicles', component: () => import('@/pages/manage/VehiclesPage.vue') },
    { path: '/terminals', name: 'terminals', component: () => import('@/pages/manage/TerminalsPage.vue') },
    { path: '/alarms', name: 'alarms', component: () => import('@/pages/manage/AlarmsPage.vue') },
    { path: '/media', name: 'media', component: () => import('@/pages/manage/MediaPage.vue') },
    { path: '/firmware', name: 'firmware', component: () => import('@/pages/manage/FirmwarePage.vue') },
    { path: '/geofences', name: 'geofences', component: () => import('@/pages/manage/GeofencesPage.vue') },
    { path: '/platforms', name: 'platforms', component: () => import('@/pages/manage/PlatformsPage.vue') },
    { path: '/users', name: 'users', component: () => import('@/pages/manage/UsersPage.vue') },
    { path: '/audit', name: 'audit', component: () => import('@/pages/manage/AuditPage.vue') },
    { path: '/reports', name: 'reports', component: () => import('@/pages/manage/ReportsPage.vue') },
    { path: '/system', name: 'system', component: () => import('@/pages/manage/SystemPage.vue') },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
})
