// swift-tools-version: 6.2
// libkluere.so and its tests. ARCHITECTURE.md shows the targets and the direction of imports.
import PackageDescription

let root = Context.packageDirectory

let strict: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

// Code that runs once for a call or a batch: the shorter machine code is as fast. (Not KluereFormats and KluereData: with it
// they read a file in 13 % more instructions.)
let compact: [SwiftSetting] = strict + [.unsafeFlags(["-Osize"], .when(configuration: .release))]

// -O3 lands after SwiftPM's own level: arithmetic is fast in debug builds and tests too. No fast-math anywhere.
let arithmetic: [CSetting] = [
  .unsafeFlags(["-O3", "-Wall", "-Wextra", "-Wstrict-prototypes", "-Werror", "-fvisibility=hidden", "-fno-math-errno"])
]
let plainC: [CSetting] = [
  .headerSearchPath("../../include"),
  .unsafeFlags(["-Wall", "-Wextra", "-Wstrict-prototypes", "-Werror", "-fvisibility=hidden"]),
]

let package = Package(
  name: "kluere",
  products: [.library(name: "kluere", type: .dynamic, targets: ["Kluere"])],
  targets: [
    .systemLibrary(name: "CKluere", path: "include"),
    .target(name: "CKluereSupport", exclude: ["README.md"], cSettings: plainC),
    .target(name: "CKluereCPU", exclude: ["README.md"], cSettings: arithmetic),
    .target(
      name: "CKluereCUDA", dependencies: ["CKluereSupport"], exclude: ["README.md", "kernels"], cSettings: plainC),
    .target(name: "KluereBase", dependencies: ["CKluereSupport"], exclude: ["README.md"], swiftSettings: strict),
    .target(name: "CKluereText", exclude: ["README.md"], cSettings: arithmetic),
    .target(
      name: "KluereText", dependencies: ["KluereBase", "CKluereText"], exclude: ["README.md"], swiftSettings: strict),
    .target(
      name: "KluereFormats", dependencies: ["KluereBase", "CKluereSupport"], exclude: ["README.md"],
      swiftSettings: strict),
    .target(name: "KluereMetrics", dependencies: ["KluereBase"], exclude: ["README.md"], swiftSettings: strict),
    .target(
      name: "KluereEnsemble", dependencies: ["KluereBase", "KluereMetrics"], exclude: ["README.md"],
      swiftSettings: strict),
    .target(
      name: "KluereDecoding", dependencies: ["KluereBase", "KluereMetrics"], exclude: ["README.md"],
      swiftSettings: compact),
    .target(
      name: "KluereData", dependencies: ["KluereBase", "KluereText", "KluereFormats"], exclude: ["README.md"],
      swiftSettings: strict),
    .target(
      name: "KluereCompute", dependencies: ["KluereBase", "CKluereSupport", "CKluereCPU", "CKluereCUDA"],
      exclude: ["README.md"],
      swiftSettings: strict),
    .target(
      name: "KluereModel",
      dependencies: ["KluereBase", "KluereText", "KluereFormats", "KluereData", "KluereCompute", "KluereDecoding"],
      exclude: ["README.md"],
      swiftSettings: compact),
    .target(
      name: "KluereTraining",
      dependencies: [
        "KluereBase", "KluereText", "KluereFormats", "KluereData", "KluereMetrics", "KluereCompute", "KluereModel",
        "KluereDecoding", "CKluereSupport",
      ], exclude: ["README.md"],
      swiftSettings: compact),
    .target(
      name: "KluereServing",
      dependencies: [
        "CKluereSupport", "KluereBase", "KluereData", "KluereCompute", "KluereModel", "KluereTraining",
      ], exclude: ["README.md"],
      swiftSettings: compact),
    .target(
      name: "KluerePipeline",
      dependencies: [
        "KluereBase", "KluereFormats", "KluereData", "KluereCompute", "KluereModel", "KluereTraining", "KluereEnsemble",
      ], exclude: ["README.md"],
      swiftSettings: compact),
    .target(name: "CKluereRecipes", exclude: ["README.md", "recipes"], cSettings: plainC),
    .target(
      name: "KluereRecipes", dependencies: ["KluereBase", "KluereFormats", "CKluereRecipes"], exclude: ["README.md"],
      swiftSettings: compact),
    .target(
      name: "KluereABI",
      dependencies: [
        "CKluere", "CKluereSupport", "KluereBase", "KluereText", "KluereData", "KluereMetrics", "KluereEnsemble",
        "KluereDecoding", "KluereCompute", "KluereModel", "KluereTraining", "KluereServing", "KluerePipeline",
        "KluereRecipes",
      ], exclude: ["README.md"],
      swiftSettings: compact),
    // Link-only shell: its flags reach nothing but the product, so tests and sanitizers still link.
    .target(
      name: "Kluere", dependencies: ["KluereABI"],
      exclude: ["README.md", "symbols.txt", "exports.map", "make_exports.py"],
      linkerSettings: [
        .unsafeFlags(
          [
            "-static-stdlib", "-use-ld=lld",
            "-Xlinker", "--version-script=\(root)/Sources/Kluere/exports.map",
            "-Xlinker", "-soname=libkluere.so.1", "-Xlinker", "-z", "-Xlinker", "nodelete",
            // Equal functions once, and not the table behind Unicode.Scalar.Properties.name: 0.8 MB.
            "-Xlinker", "--icf=all", "-Xlinker", "--wrap=_swift_stdlib_getScalarName",
          ], .when(configuration: .release)),
        .unsafeFlags(["-Xlinker", "-z", "-Xlinker", "defs", "-Xlinker", "-s"], .when(configuration: .release)),
      ]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)

// Tests: a folder Tests/<Target>Tests for each target that has some.
let tests: [(String, [Target.Dependency])] = [
  ("CKluereCPUTests", ["CKluereCPU"]),
  ("KluereBaseTests", ["KluereBase"]),
  ("KluereTextTests", ["KluereText", "CKluereText", "KluereBase"]),
  ("KluereFormatsTests", ["KluereFormats", "KluereBase"]),
  ("KluereMetricsTests", ["KluereMetrics", "KluereBase"]),
  ("KluereEnsembleTests", ["KluereEnsemble", "KluereMetrics", "KluereBase"]),
  ("KluereDecodingTests", ["KluereDecoding", "KluereMetrics", "KluereBase"]),
  ("KluereDataTests", ["KluereData", "KluereFormats", "KluereText", "KluereBase"]),
  ("KluereModelTests", ["KluereModel", "KluereCompute", "KluereData", "KluereFormats", "KluereText", "KluereBase"]),
  (
    "KluereTrainingTests",
    [
      "KluereTraining", "KluereModel", "KluereCompute", "KluereData", "KluereMetrics", "KluereFormats", "KluereText",
      "KluereBase",
    ]
  ),
  (
    "KluereServingTests",
    [
      "KluereServing", "KluereTraining", "KluereModel", "KluereCompute", "KluereData", "KluereText", "KluereBase",
    ]
  ),
  ("KluereRecipesTests", ["KluereRecipes", "KluereBase"]),
  ("KluereABITests", ["KluereABI", "CKluere", "CKluereSupport"]),
]
package.targets += tests.map { .testTarget(name: $0.0, dependencies: $0.1, swiftSettings: strict) }
