// What a browser can do better than a reload. Every page works without it.
"use strict";

// The server writes dates in this zone from the next page on.
if (document.documentElement.dataset.zone === "unknown") {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  document.cookie = `efi_zone=${zone};path=/;max-age=31536000;samesite=lax`;
}
