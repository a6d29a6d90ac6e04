/* A classic script in the words of the oldest browsers. Where this browser does not understand the page's modules, none
   of them says anything: this tells the listener, and the platform they came from, that the device does not suit. */
(function () {
  'use strict';
  var notLoaded = false; // a file did not come: that is the network, not the browser

  function $(id) { return document.getElementById(id); }
  function gettext(text) { return window.django && window.django.gettext ? window.django.gettext(text) : text; }

  function show(name) {
    var sections = document.querySelectorAll('section[data-state]');
    for (var i = 0; i < sections.length; i += 1) sections[i].hidden = sections[i].getAttribute('data-state') !== name;
  }

  /* The parameters with which the study's platform sent this person, by name. */
  function cameWith(settings) {
    var found = {};
    var parts = location.search.slice(1).split('&');
    var names = Object.keys(settings.platform).map(function (role) { return settings.platform[role]; });
    for (var i = 0; i < parts.length; i += 1) {
      var pair = parts[i].split('=');
      var name = decodeURIComponent(pair[0]);
      if (names.indexOf(name) >= 0) found[name] = decodeURIComponent((pair[1] || '').replace(/\+/g, ' '));
    }
    return found;
  }

  function put(outcome) {
    $('outcome-message').textContent = outcome.message || '';
    $('outcome-code').value = outcome.code || '';
    $('outcome-code-box').hidden = !outcome.code;
    if (/^https?:/.test(outcome.url || '')) {
      $('outcome-return').href = outcome.url;
      $('outcome-return').hidden = false;
    }
  }

  function unsuited() {
    var settings = JSON.parse($('study').textContent);
    show('finished');
    $('outcome-title').textContent = gettext('This study needs another device');
    $('outcome-text').textContent = gettext('It cannot be done with what you have here. Nothing has been counted against you.');
    $('outcome-board').hidden = false;
    var request = new XMLHttpRequest();
    request.open('POST', '/api/studies/' + settings.slug + '/decline/');
    request.setRequestHeader('Content-Type', 'application/json');
    request.onload = function () { if (request.status === 200) put(JSON.parse(request.responseText)); };
    request.send(JSON.stringify({ reason: 'incompatible_device', platform: cameWith(settings) }));
  }

  function incomplete() {
    show('trouble');
    $('trouble-title').textContent = gettext('This page did not load completely');
    $('trouble-text').textContent = gettext('A part of it is missing, perhaps for want of a connection. Your answers so far are safe.');
    $('trouble-action').textContent = gettext('Reload the page');
    $('trouble-action').onclick = function () { location.reload(); };
  }

  addEventListener('error', function (event) {
    if (event.target && event.target.tagName === 'SCRIPT') notLoaded = true;
  }, true);
  addEventListener('load', function () {
    if (window.arenaListens) return; // listen.js is at work
    if (notLoaded) incomplete();
    else unsuited();
  });
}());
