// The contrast of each part of the page with what is behind it. Source: WCAG 2.2, "relative luminance".
const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
const light = (colour) => numbers(colour).slice(0, 3).map((part) => part / 255)
  .map((part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4)
  .reduce((sum, part, index) => sum + part * [.2126, .7152, .0722][index], 0);
const behind = (part) => numbers(getComputedStyle(part).backgroundColor)[3] === 0
  ? behind(part.parentElement) : getComputedStyle(part).backgroundColor;
[...document.body.querySelectorAll("*")].map((part) => {
  const both = [light(getComputedStyle(part).color), light(behind(part))];
  return (Math.max(...both) + .05) / (Math.min(...both) + .05);
})
