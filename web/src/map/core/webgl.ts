/** Can this browser draw the map? Kept apart from MapLibre, so that asking does not load it. */
export function hasWebGl2(): boolean {
  try {
    return document.createElement('canvas').getContext('webgl2') !== null
  } catch {
    return false
  }
}
