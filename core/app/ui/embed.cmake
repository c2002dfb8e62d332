# SPDX-License-Identifier: Apache-2.0
# cmake -D OUT=FILE -D FOLDER=FOLDER -D "NAMES=a;b" -P embed.cmake: the files of the dashboard as C arrays, and the
# table `ui_files` of them.
set(arrays "")
set(rows "")
set(number 0)
foreach(name IN LISTS NAMES)
  file(READ "${FOLDER}/${name}" bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "static const unsigned char file_${number}[] = { ${bytes} };\n")
  string(APPEND rows "    { \"${name}\", sizeof(file_${number}), file_${number} },\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE "${OUT}" "#include \"core/app/admin_ui.h\"\n${arrays}const struct ui_file ui_files[] = {\n${rows}    { 0 }\n};\n")
