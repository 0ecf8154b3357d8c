/**
 * What is tried first, in small letters, as far as it is long enough to be a password here.
 *
 * @source the UK National Cyber Security Centre's list of passwords found in breaches, and NordPass' lists of 2024 and 2025
 */
const FOUND = `
0000000000 0123456789 0987654321 1029384756 1111111111 111222tianya 1122334455 12345678900 12345678901 1234512345 1234554321
1234567890 1234567891 12345678910 1234567899 123456654321 123456789a 123456789m 123456789q 123456789z 12345qwert 12345qwerty
123456qwerty 123hfjdk147 123qweasdzxc 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc 1v7upjw3nt 3d8cubaj2e 3odi15ngxb 3rjs1la7qe
421uiopy258 4815162342 5555555555 7894561230 9876543210 a123456789 aa@1234567 aa@123456789 aa12345678 aa123456789 aaaaaaaaaa
abcdefg123 abcdefghij adminadmin administrator admintelecom alexander1 asdfghjkl1 asdfghjkl: asdfghjklñ azertyuiop babygirl12
basketball bestfriend butterfly1 california chocolate1 christian1 christopher cjmasterinf contraseña contrasena diosesfiel
diwtgm8492 dragonball elizabeth1 football12 fqrg7cs493 friendster fuckyou123 furuyanomori global123@ groupd2013 harrypotter
hellokitty hollister1 hollywood1 homelesspa iloveyou12 jesuschrist justinbieb linkinpark liverpool1 manchester megaparol12345
metallica1 motdepasse p3rat54797 paintball1 passer2009 poiuytrewq polniypizdec0211 princess12 q1w2e3r4t5 q1w2e3r4t5y6 qazwsxedcrfv
qwertyuiop qwertyuiop1 qwertyuiopasdf realmadrid runescape1 sexybitch1 sojdlg123aljg southside1 spongebob1 startfinding
stephanie1 strawberry superstar1 sweetheart sz9kqcctwy telechargement teamomucho tequieromucho theworldinyourhand tinkerbell
turktelekom undertaker uqa9ebw445 volleyball vqsablpzla w5txn36alfw yagjecc826 yuantuo2012 zxcvbnm123 zxcvbnmasdfghjkl`;

/** The commonest words, and what people put behind a word that is too short. */
const WORDS =
  'abc abcd admin administrador america barcelona bienvenido changeme chocolate cinemanzana contraseña contrasena dragon estrella ' +
  'football futbol hola iloveyou letmein mexico michael minecraft monkey p@ssw0rd pakistan passw0rd password princesa princess ' +
  'qwerty realmadrid secret sunshine superman teamo test user welcome';
const TAILS = '1 12 123 1234 12345 123456 1234567 123456789 1234567890 ! 1! 12! 123! 1234! @1 @12 @123 @1234 2024 2025 2026 2027';

const words = (text: string) => text.trim().split(/\s+/);

/** The commonest passwords, in small letters: some nine hundred. */
export const COMMONEST: ReadonlySet<string> = new Set([
  ...words(FOUND),
  ...words(WORDS).flatMap((word) => words(TAILS).map((tail) => `${word}${tail}`)),
]);
